"""Stands in for the AWS CLI in naive.sh: the same library, credentials and endpoint, one process per call.

`associations TABLE` prints a route table's associations, `replace ASSOCIATION TABLE` moves one.
"""

import os
import sys

import boto3

ec2 = boto3.client("ec2", endpoint_url=os.environ["AWS_ENDPOINT_URL_EC2"])
if sys.argv[1] == "associations":
    for table in ec2.describe_route_tables(RouteTableIds=[sys.argv[2]])["RouteTables"]:
        for association in table["Associations"]:
            if "SubnetId" in association:
                print(association["RouteTableAssociationId"])
else:
    ec2.replace_route_table_association(AssociationId=sys.argv[2], RouteTableId=sys.argv[3])
