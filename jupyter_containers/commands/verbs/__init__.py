"""The verbs: functions ``(session, parsed) -> value``, one module per noun, imported when used.

They translate words into calls of the engine and wrap its values in results that render
themselves; they make no decisions about containers and print nothing.
"""
