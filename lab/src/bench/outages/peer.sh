#!/bin/sh
# A NAT that pings its peer: three pings of a second's wait, two seconds between rounds, and none answered is an outage. With the
# figures of the script that AWS published for pairs of NAT instances; the words are the bench's own.
#   PEER  the primary's address
#   MOVE  what takes over
while ping -q -n -c 3 -W 1 "$PEER" > /dev/null 2>&1; do
    sleep 2
done
exec "$MOVE"
