"""
The account around the models: CloudFormation templates, and the policies in them as plain JSON.
"""
