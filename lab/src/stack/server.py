"""moto's server for labs made from a template.

moto makes a stack's instance from an image and a subnet of its own properties and leaves the rest out. Here it comes from a launch template
and a network interface as well, as at EC2. EC2 chooses private addresses; here those of the stack that makes the lab are its hosts'. And moto's stacks
note that a subnet is associated with a table, but do not do it.
"""

import sys

from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.ec2.models.subnets import SubnetRouteTableAssociation
from moto.server import main
from moto.ssm.models import ssm_backends

ADDRESSES = {"Primary": "10.0.0.10", "Standby": "10.0.0.20"}
ALIAS = "resolve:ssm:"


def instance(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    given = dict(cloudformation_json["Properties"])
    ec2 = ec2_backends[account_id][region_name]
    template = given.pop("LaunchTemplate")
    interface = given.pop("NetworkInterfaces")[0]
    launch = ec2.describe_launch_templates(template_ids=[template["LaunchTemplateId"]])[0].get_version(template["Version"]).data
    image = launch["ImageId"]
    if image.startswith(ALIAS):
        # None where there is no such parameter: the stack fails, as it does at EC2.
        image = ssm_backends[account_id][region_name].get_parameter(image.removeprefix(ALIAS)).value
    made = ec2.run_instances(
        image_id=image,
        count=1,
        user_data=given.pop("UserData"),
        security_group_names=[],
        security_group_ids=list(interface["GroupSet"]),
        instance_type=given.pop("InstanceType"),
        is_instance_type_default=False,
        subnet_id=interface["SubnetId"],
        associate_public_ip=interface["AssociatePublicIpAddress"],
        private_ip=ADDRESSES[kwargs["LogicalId"]] if "/natwatch/" in kwargs["StackId"] else None,
        key_name=given.pop("KeyName", None),
        metadata_options=launch["MetadataOptions"],
    ).instances[0]
    check = given.pop("SourceDestCheck", True)
    made.source_dest_check = check
    made.nics[0].source_dest_check = check
    for tag in given.pop("Tags", []):
        made.add_tag(tag["Key"], tag["Value"])
    if profile := given.pop("IamInstanceProfile", None):
        ec2.associate_iam_instance_profile(instance_id=made.id, iam_instance_profile_name=profile)
    if given:
        raise ValueError(f"the lab does not know what to do with {sorted(given)} of an instance")
    return made


def association(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    table, subnet = (cloudformation_json["Properties"][key] for key in ("RouteTableId", "SubnetId"))
    ec2_backends[account_id][region_name].associate_route_table(table, subnet_id=subnet)
    return cls(table, subnet)


Instance.create_from_cloudformation_json = classmethod(instance)
SubnetRouteTableAssociation.create_from_cloudformation_json = classmethod(association)
sys.exit(main(sys.argv[1:]))
