/*
 * What an operating system is told of the board through ACPI: the PCI root and how its interrupts are
 * routed, the legacy chips, soft off. Compiled by iasl at build time; firmware.c patches the start
 * of the PCI memory window (it depends on the size of RAM).			[ACPI 3.0], [82371SB]
 */
DefinitionBlock ("dsdt.aml", "DSDT", 1, "PLEX86", "PLEX86PC", 1)
{
    /* SLP_TYPa of soft off: PC_ACPI_S5_TYPE. */
    Name (\_S5, Package () { 0, 0, 0, 0 })

    /* Which interrupt controllers the system uses: 0 the 8259A, 1 the I/O APIC. The routing is the same. */
    Name (\PICF, 0)
    Method (\_PIC, 1) { Store (Arg0, \PICF) }

    Scope (\_PR)
    {
        Processor (CPU0, 0, 0, 0) { }
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_ADR, 0)
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x0D00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
                /* firmware.c looks for this minimum, maximum, translation and length. */
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x80000000, 0xFEBFFFFF, 0, 0x7EC00000)
            })

            /* A slot's four pins, shifted by one from slot to slot; slot 1's INTA is the SCI. */
#define SLOT(n, a, b, c, d) \
            Package () { ((n << 16) | 0xFFFF), 0, a, 0 }, \
            Package () { ((n << 16) | 0xFFFF), 1, b, 0 }, \
            Package () { ((n << 16) | 0xFFFF), 2, c, 0 }, \
            Package () { ((n << 16) | 0xFFFF), 3, d, 0 }
#define SLOTS(n) \
            SLOT (n, LNKA, LNKB, LNKC, LNKD), SLOT (n + 1, LNKB, LNKC, LNKD, LNKA), \
            SLOT (n + 2, LNKC, LNKD, LNKA, LNKB), SLOT (n + 3, LNKD, LNKA, LNKB, LNKC)
            Name (_PRT, Package ()
            {
                SLOT (0, LNKD, LNKA, LNKB, LNKC), SLOT (1, LNKS, LNKB, LNKC, LNKD),
                SLOT (2, LNKB, LNKC, LNKD, LNKA), SLOT (3, LNKC, LNKD, LNKA, LNKB),
                SLOT (4, LNKD, LNKA, LNKB, LNKC), SLOTS (5), SLOTS (9), SLOTS (13), SLOTS (17),
                SLOTS (21), SLOTS (25), SLOT (29, LNKA, LNKB, LNKC, LNKD),
                SLOT (30, LNKB, LNKC, LNKD, LNKA), SLOT (31, LNKC, LNKD, LNKA, LNKB)
            })

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRR, PCI_Config, 0x60, 4)
                Field (PIRR, ByteAcc, NoLock, Preserve)
                {
                    PRQ0, 8, PRQ1, 8, PRQ2, 8, PRQ3, 8
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x70, 0x70, 1, 2) IRQNoFlags () { 8 } })
                }
                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x60, 0x60, 1, 1) IO (Decode16, 0x64, 0x64, 1, 1) IRQNoFlags () { 1 }
                    })
                }
                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }
                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x3F8, 0x3F8, 1, 8) IRQNoFlags () { 4 } })
                }
                Device (COM2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 2)
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x2F8, 0x2F8, 1, 8) IRQNoFlags () { 3 } })
                }
                Device (FDC0)
                {
                    Name (_HID, EisaId ("PNP0700"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x3F2, 0x3F2, 1, 4) IO (Decode16, 0x3F7, 0x3F7, 1, 1)
                        IRQNoFlags () { 6 } DMA (Compatibility, NotBusMaster, Transfer8) { 2 }
                    })
                }
            }
        }

        /* The four lines of the interrupt router; bit 7 of its register: not connected. */
#define LINK(name, uid, reg) \
        Device (name) \
        { \
            Name (_HID, EisaId ("PNP0C0F")) \
            Name (_UID, uid) \
            Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } }) \
            Method (_STA) { If (And (reg, 0x80)) { Return (0x09) } Return (0x0B) } \
            Method (_DIS) { Or (reg, 0x80, reg) } \
            Method (_CRS, 0, Serialized) \
            { \
                Name (BUF, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 0 } }) \
                CreateDWordField (BUF, 5, IRQN) \
                If (LNot (And (reg, 0x80))) { Store (And (reg, 15), IRQN) } \
                Return (BUF) \
            } \
            Method (_SRS, 1) { CreateDWordField (Arg0, 5, IRQN) Store (IRQN, reg) } \
        }
        LINK (LNKA, 0, \_SB.PCI0.ISA.PRQ0)
        LINK (LNKB, 1, \_SB.PCI0.ISA.PRQ1)
        LINK (LNKC, 2, \_SB.PCI0.ISA.PRQ2)
        LINK (LNKD, 3, \_SB.PCI0.ISA.PRQ3)
        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 9 } })
            Method (_STA) { Return (0x0B) }
            Method (_DIS) { }
            Method (_CRS) { Return (_PRS) }
            Method (_SRS, 1) { }
        }
    }
}
