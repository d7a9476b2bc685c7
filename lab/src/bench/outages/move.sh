#!/bin/sh
# Moves every association of the list to the standby's route table, one call of the AWS CLI after the other, as the scripts do that
# are passed around. The bench keeps the list true, which in life somebody else would have to do: each move gives a subnet a new one.
#   AWS           the AWS CLI with its endpoint
#   ASSOCIATIONS  file, one id a line
#   STANDBY       the standby's route table
while read -r association; do
    $AWS ec2 replace-route-table-association --association-id "$association" --route-table-id "$STANDBY" > /dev/null
done < "$ASSOCIATIONS"
