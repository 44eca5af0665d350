"""
Which process is at the other end of a connection on this machine, as Linux's /proc knows.
"""

import os
from pathlib import Path

ESTABLISHED = "01"


def process_behind(port: int, server_port: str) -> int:
    """
    Return the id of the process that has a connection from ``port`` to the server, or 0.
    """
    inode = ""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            fields = line.split()
            local, remote = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
            if (local, remote, fields[3]) == (port, int(server_port), ESTABLISHED):
                inode = fields[9]
    for folder in Path("/proc").glob("[0-9]*") if inode else []:
        try:
            for descriptor in (folder / "fd").iterdir():
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    return int(folder.name)
        except OSError:
            continue  # it ended, or belongs to somebody else
    return 0
