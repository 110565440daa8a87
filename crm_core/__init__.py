"""The core of the CRM: accounts, roles, records, storage, jobs, hooks and the shell of the interface.

It imports no plugin, ever; every capability people work with is a plugin found through entry points.
"""

__version__ = "0.1.0"
