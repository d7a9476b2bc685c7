"""Makes a stack at the lab's moto, as `aws cloudformation deploy` would, and tells what came of it. JSON in, JSON out."""

import ast
import base64
import json
import pathlib
import sys

import boto3

asked = json.load(sys.stdin)


def client(service):
    return boto3.client(
        service,
        endpoint_url=asked["endpoint"],
        region_name=asked["region"],
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )


cloudformation, ec2, iam = client("cloudformation"), client("ec2"), client("iam")
name = asked["name"]
cloudformation.create_stack(
    StackName=name,
    TemplateBody=pathlib.Path(asked["template"]).read_text(),
    Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in asked["parameters"].items()],
    Capabilities=["CAPABILITY_IAM"],
)
stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
if stack["StackStatus"] != "CREATE_COMPLETE":
    sys.exit(f"{name}: {stack['StackStatus']}: {stack.get('StackStatusReason', '')}")
made = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
# moto does not say of everything what it is; what is asked for below it does.
made = [one for one in made if one.get("LogicalResourceId") and one.get("PhysicalResourceId")]
resources = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in made}


def user_data(instance):
    value = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    return base64.b64decode(value).decode()


def policies(role):
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    all = [iam.get_role_policy(RoleName=role, PolicyName=one)["PolicyDocument"] for one in names]
    # moto keeps those that stand in the role itself as Python writes them.
    return [ast.literal_eval(one) if isinstance(one, str) else one for one in all]


kinds = {one["LogicalResourceId"]: one["ResourceType"] for one in made}
json.dump(
    {
        "outputs": {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]},
        "resources": resources,
        "user_data": {key: user_data(resources[key]) for key, kind in kinds.items() if kind == "AWS::EC2::Instance"},
        "policies": {key: policies(resources[key]) for key, kind in kinds.items() if kind == "AWS::IAM::Role"},
    },
    sys.stdout,
)
