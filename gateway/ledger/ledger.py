"""The ledger: all I/O that a decision needs from the store.

First form: records are remembered without a lease, so each admission names the versions that it was decided under and the
store refuses it if one of them has changed. One atomic script call a request, and a change is in force when it has answered.
"""
