"""The verbs of tasks: plain functions of a gate, without a request."""
