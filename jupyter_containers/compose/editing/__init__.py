"""Help for a person who writes a Compose file: findings, completion, descriptions of keys.

The text is unfinished most of the time, so nothing here needs it to be YAML.
"""
