#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the platform's Python SDK does, as it does it: requests, a session, JSON both ways.

    sdk-client.py heartbeat URL TOKEN COUNT [PAUSE]
    sdk-client.py secrets URL TOKEN COUNT [PAUSE]

PAUSE: seconds between two calls, in which whatever was warm gets cold. Prints the calls a
second and the CPU time of this process for each.
"""

import json
import resource
import sys
import time

import requests

WORKSPACE_ID = "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0001"


def heartbeat(session, url, headers):
    session.post(f"{url}/registry/heartbeat", headers=headers, timeout=10, json={
        "workspace_id": WORKSPACE_ID, "error_rate": 0.0, "sample_error": "", "active_tasks": 0,
        "uptime_seconds": 100, "current_task": ""}).raise_for_status()


def secrets(session, url, headers):
    reply = session.get(f"{url}/workspaces/{WORKSPACE_ID}/secrets/values", headers=headers, timeout=10)
    reply.raise_for_status()
    return reply.json()


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    what, url, token, count = sys.argv[1:5]
    pause = float(sys.argv[5]) if len(sys.argv) > 5 else 0
    call = {"heartbeat": heartbeat, "secrets": secrets}[what]
    session, headers = requests.Session(), {"Authorization": f"Bearer {token}"}
    for _ in range(10):
        call(session, url, headers)
    began, cpu = time.monotonic(), cpu_s()
    for _ in range(int(count)):
        if pause:
            time.sleep(pause)
        call(session, url, headers)
    cpu, took = cpu_s() - cpu, time.monotonic() - began
    print(json.dumps({"rate": int(count) / took, "cpu_us": cpu / int(count) * 1e6}))


main()
