"""Primary and backups: one server orders the commands, the others hold copies to go on from.

`messages` holds what clients, servers and the view service tell each other, `server` the primary
and its backups, and `service` the view service, which names the next primary.
"""

from happysim.protocols.machine import Journal, Machine
from happysim.protocols.primary_backup.messages import (
    ClientRequest,
    Confirm,
    CurrentView,
    Entry,
    Here,
    Mode,
    NotPrimary,
    Place,
    Replicate,
    Retired,
    Seal,
    Sealed,
    Session,
    Settled,
    Snapshot,
    View,
    first_view,
)
from happysim.protocols.primary_backup.server import PrimaryBackupServer
from happysim.protocols.primary_backup.service import ViewService

__all__ = [
    "ClientRequest",
    "Confirm",
    "CurrentView",
    "Entry",
    "Here",
    "Journal",
    "Machine",
    "Mode",
    "NotPrimary",
    "Place",
    "PrimaryBackupServer",
    "Replicate",
    "Retired",
    "Seal",
    "Sealed",
    "Session",
    "Settled",
    "Snapshot",
    "View",
    "ViewService",
    "first_view",
]
