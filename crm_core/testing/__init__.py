"""What tests of the core and of plugins stand on: fixtures, factories and the conformance kit of plugins.

The fixtures come by themselves through the entry point `pytest11`; see `crm_core.testing.plugin`.
"""
