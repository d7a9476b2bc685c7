#!/bin/sh
# keepalived's notify script (keepalived.conf(5)): called with a type, a name, the new state and the priority.
#   ROLE    of this NAT: only the standby moves anything; the bench brings subnets home itself
#   FOLDER  where the state is left, when all that it means has been done and it is still so: scripts of two changes run side by side
#   MOVE    what takes over
echo "$$" > "$FOLDER/$ROLE.latest"
[ "$3" != MASTER ] || [ "$ROLE" != standby ] || "$MOVE"
[ "$(cat "$FOLDER/$ROLE.latest")" != "$$" ] || echo "$3" > "$FOLDER/$ROLE.state"
