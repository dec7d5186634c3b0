"""The verbs: functions ``(session, parsed) -> value``, one module a noun, imported when used.

They translate words into calls of the engine and wrap its values into results that show
themselves; they decide nothing about containers and print nothing.
"""
