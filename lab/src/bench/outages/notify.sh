#!/bin/sh
# keepalived's notify script (keepalived.conf(5)): called with a type, a name, the new state and the priority.
#   ROLE    of this NAT: only the standby moves anything; the bench brings subnets home itself
#   FOLDER  where the state is left, when all that it means has been done
#   MOVE    what takes over
[ "$3" != MASTER ] || [ "$ROLE" != standby ] || "$MOVE"
echo "$3" > "$FOLDER/$ROLE.new" && mv "$FOLDER/$ROLE.new" "$FOLDER/$ROLE.state"
