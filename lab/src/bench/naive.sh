#!/bin/sh
# What natwatch is measured against: the watchdog as a shell script, one ssh and ping after the other, then one EC2 call
# after the other. Three bad hosts are an outage. `lab bench` runs it on the standby as natwatch's user, with these in its environment:
#   BACKENDS, TARGETS    names and addresses, with spaces between
#   PING                 ping's options
#   IDENTITY KNOWN_HOSTS files for ssh
#   ASSOCIATIONS         of the private subnets with the primary's route table, as if written into the script
#   STANDBY              the standby's route table
#   EC2                  stands in for the AWS CLI: a Python program with boto3, started anew for each call, as the CLI is
# Exit status: 0 nothing to do, 4 moved, anything else: failed.
bad=0
for host in $BACKENDS; do
    target=$(printf '%s\n' $TARGETS | shuf -n 1)
    ssh -n -o BatchMode=yes -o ConnectTimeout=5 -o UserKnownHostsFile="$KNOWN_HOSTS" -i "$IDENTITY" \
        "natwatch@$host" "ping $PING $target" >/dev/null 2>&1 || bad=$((bad + 1))
    [ "$bad" -lt 3 ] || break
done
[ "$bad" -ge 3 ] || exit 0

for association in $ASSOCIATIONS; do
    $EC2 replace "$association" "$STANDBY" || exit 1
done
exit 4
