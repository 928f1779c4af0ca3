"""What may differ between the boot logs of the same kernel under plex86 and under QEMU, and why.

Each entry is (what, pattern, why). A DROP entry takes a whole line out of both logs, a MASK entry
replaces what its groups matched by `#`, a MOVE entry compares a line apart from its place. Run as a program it prints the table for docs/guests.md.
"""
import re
import sys
from pathlib import Path

DROP, MASK, MOVE = "line left out", "part left out", "at another place"

FIRMWARE = "QEMU runs SeaBIOS, which leaves its own tables (SMBIOS, MP, PCI BIOS, ACPI with an APIC); direct boot leaves the few of src/boot"
MODEL = "another processor model: NX, PAT, MTRRs and machine check as each announces them"
MELTDOWN = "plex86 announces RDCL_NO: user code cannot read past a page's protection, so the kernel keeps one set of page tables"
CPUS = "QEMU's tables announce room for a second processor; sizes follow the number of processors and interrupt lines"
CLOCKS = "frequency of the clocks, how they were measured and whether the kernel trusts them: plex86 announces both"
PCI = "other devices on the PCI bus, and other hotplug slots"
PORTS = "plex86 has four serial ports, and other numbers in the list of ACPI devices"
MEMORY = "other firmware tables, so some KiB more or less are reserved"
ORDER = "done beside the rest of the start (async probing), so its place in the log varies from run to run"

DIFFERENCES = [
    (MASK, r"^(\[ *\d+\.\d+\] )", "times"),
    (MASK, r"audit\((\d+\.\d+)", "times"),
    (DROP, r"^SMBIOS |^DMI[: ]|^PnPBIOS|PCI BIOS revision", FIRMWARE),
    (DROP, r"SMP MP-table|^Intel MultiProcessor|Virtual Wire|^MPTABLE|^IOAPIC|MP table errors|^\.\.\. disabling SMP", FIRMWARE),
    (DROP, r"^ACPI: (RSDP|RSDT|FACP|DSDT|FACS|APIC|HPET|WAET|SSDT|Reserving) ", FIRMWARE),
    (DROP, r"^BIOS-e820: .* reserved$|^PM: hibernation: Registered nosave", FIRMWARE),
    (MASK, r"ACPI: PM: \(supports (.*)\)", FIRMWARE),
    (MASK, r"ACPI: setting ELCR to (.*)", FIRMWARE),
    (MASK, r"^Console: colour (.*)", "the firmware leaves a text screen, direct boot none"),
    (DROP, r"^Notice: NX|x86/PAT|MTRR|^Disabled$|^mce: |^Freeing SMP alternatives", MODEL),
    (MASK, r"smpboot: CPU0: (.*)", MODEL),
    (DROP, r"page tables isolation: |user space page tables$|^x86/mm: Checked W.X|^L1TF: ", MELTDOWN),
    (DROP, r"^\.\.TIMER: vector=", CLOCKS),
    (MASK, r"smpboot: Allowing (.*)", CPUS),
    (MASK, r"nr_cpu(?:mask_bits|_ids)[:=](\d+)", CPUS),
    (MASK, r"(?:nr_irqs: |CPUs=|HWalign=|Max logical packages: |Setting shift to )(\d+)", CPUS),
    (DROP, r"clocksource|^tsc: |^sched_clock: Marking|^PM-Timer running at", CLOCKS),
    (DROP, r"^Unstable clock detected|^If you want to keep using the local|trace_clock=|^on the kernel command line", CLOCKS),
    (DROP, r"^APIC calibration not consistent|^APIC delta adjusted", CLOCKS),
    (MASK, r"(\d+\.\d+ BogoMIPS.*)", CLOCKS),
    (DROP, r"^(pci|pci_bus|pci_hotplug|acpiphp|PCI)\b|^acpi (PNP0A03|resource)|^ACPI: (PCI|Enabled|.*PCI Root)", PCI),
    (MASK, r"^\[mem (.*)\] available for PCI", PCI),
    (DROP, r"ttyS[1-3] at ", PORTS),
    (MASK, r"^pnp: PnP ACPI: found (\d+)", PORTS),
    (MASK, r"^(00:\w\w): ttyS0 at ", PORTS),
    (MASK, r"^rtc_cmos (00:\w\w): registered", PORTS),
    (DROP, r"^rtc_cmos 00:\w\w: (RTC can|alarms|setting)", "the clock chip's date; how much of it the ACPI tables describe"),
    (MASK, r"^Memory: (\d+)K/\d+K available .* (\d+)K reserved", MEMORY),
    (MASK, r"^Mem: +(\d+ .*)", MEMORY),
    (MOVE, r"^Trying to unpack rootfs|^Freeing initrd memory", ORDER),
    (MASK, r"^input: .*/input(\d+)$", ORDER),
    (MOVE, r"^input: ", ORDER),
    (MOVE, r"^audit: ", ORDER),
    (MOVE, r"^rtc_cmos ", ORDER),
]

_compiled = [(what, re.compile(pattern), why) for what, pattern, why in DIFFERENCES]


def _mask(match):
    text, at = match.group(0), match.start(0)
    for index in range(match.re.groups, 0, -1):
        start, end = match.span(index)
        if start >= 0:
            text = text[:start - at] + "#" + text[end - at:]
    return text


def normalize(log):
    """The lines of a log that must be equal, those without a place of their own behind the others."""
    lines, moved = [], []
    for line in log.replace("\r", "").splitlines():
        line, target = line.rstrip(), lines
        for what, pattern, _ in _compiled:
            if what is MASK:
                line = pattern.sub(_mask, line)
                if pattern is _compiled[0][1]:
                    line = line.removeprefix("#")       # the patterns below begin where the message does
            elif pattern.search(line):
                target = None if what is DROP else moved
                break
        if line and target is not None:
            target.append(line)
    return lines + sorted(moved)


def markdown():
    rows = ["| in the log | what | why |", "|---|---|---|"]
    for what, pattern, why in DIFFERENCES:
        rows.append("| `%s` | %s | %s |" % (pattern.replace("|", "\\|"), what, why))
    return "\n".join(rows)


if __name__ == "__main__":
    # With the name of a document: does it hold this table?
    if len(sys.argv) == 1:
        print(markdown())
    elif markdown() not in Path(sys.argv[1]).read_text(encoding="utf-8"):
        sys.exit(f"{sys.argv[1]} does not list the differences that are allowed: insert what this prints")
