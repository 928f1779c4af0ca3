#!/usr/bin/env python3
"""The meters of a Linux that boots, works a little and powers off.        usage: linux.py PLEX86"""
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "boot"))
import monitors  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        _, _, status = monitors.boot(sys.argv[1], "686", ("--meter-log", str(log), "--meter-interval", "1"))
        records = [json.loads(line) for line in log.read_text().splitlines()]
    last = records[-1]
    vm, vcpu = last["vm"], last["vcpus"][0]
    causes = vcpu["time_seconds"]
    wanted = {
        "powered off": status == 0 and last["record"] == "final" and "powered off" in last["reason"],
        "start, intervals, final": [r["record"] for r in records] == ["start"] + ["interval"] * (len(records) - 2) + ["final"],
        "times add up": abs(sum(causes.values()) - vm["uptime_seconds"]) <= 0.01 * vm["uptime_seconds"],
        "both rings ran": causes["ring3"] > 0 and causes["ring0"] > 0,
        "the monitor's causes": all(causes[c] > 0 for c in ("emulate", "scan", "window", "device", "host", "idle")),
        "CPU time within the uptime": 0 < vcpu["vcpu_cpu_seconds"] <= vm["uptime_seconds"] + 0.1,
        "page faults": vcpu["exceptions"]["14"] > 100,
        "timer interrupts": sum(vcpu["interrupts"].values()) > 100,
        "system calls": vcpu["software_interrupts"].get("128", 0) > 10,
        "address spaces": vcpu["address_space_switches"] > 50,
        "blocks": vcpu["blocks_scanned"] > 5000 and vcpu["branches_chained"] > 5000,
        "console": vm["port_accesses"]["com1"]["write"] > 1000,
        "interrupt controllers": vm["mmio_accesses"]["lapic"]["write"] > 100,
        "memory": (8 << 20) < vm["memory_bytes"]["touched"] <= vm["memory_bytes"]["configured"] + (64 << 20),
    }
    print(json.dumps(last, indent=1))
    wrong = [name for name, holds in wanted.items() if not holds]
    if wrong:
        sys.exit(f"does not hold: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
