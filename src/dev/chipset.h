/*
 * The PCI side of the board: host bridge, south bridge, IDE, APICs, firmware configuration, wired to
 * struct pc. Drives are plugged in by whoever opens their images.
 */
#ifndef PLEX86_DEV_CHIPSET_H
#define PLEX86_DEV_CHIPSET_H

#include "dev/e1000.h"
#include "dev/fdc.h"
#include "dev/fw_cfg.h"
#include "dev/hpet.h"
#include "dev/i440fx.h"
#include "dev/ide.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pc.h"
#include "dev/pci.h"
#include "dev/piix.h"

struct chipset_config {
	bool firmware;			/* there is firmware in ROM, which configures the board after reset */
	uint64_t rom_fd_offset;		/* the end of it that is seen below 1 MiB, too */
	uint32_t rom_bytes;
	bool no_acpi, hpet;
	/* A CD-ROM's tray or door moved. May be NULL. */
	void (*tray)(void *arg, unsigned channel, unsigned drive, bool open, bool locked);
	void *arg;
};

struct chipset {
	struct pci_bus pci;
	struct i440fx host_bridge;
	struct piix piix;
	struct ide ide;
	struct fdc fdc;
	struct lapic lapic;
	struct ioapic ioapic;
	struct hpet hpet;		/* if cfg.hpet */
	struct fw_cfg fw_cfg;
	struct chipset_net {
		bool present;
		struct pci_dev pci;
		struct e1000 card;
		struct e1000_host outside;	/* whom frames go to */
		uint64_t rom_fd_offset;
	} net;
	/* host */
	struct chipset_config cfg;
	struct pc *pc;
	struct cpu_bus cpu_bus;		/* the board's, and the local APIC's MSR */
	bool lapic_mapped;
	uint32_t lapic_at;
};

/* After pc_init(). 0 or -errno. Attach drives, and fill fw_cfg, after it. */
int chipset_init(struct chipset *cs, struct pc *pc, const struct chipset_config *cfg);

/* Plug in an IDE drive: sets the translation the firmware is to use, too. */
void chipset_attach_ide(struct chipset *cs, unsigned channel, unsigned drive, enum ide_kind kind, struct disk *disk,
			const char *serial);
/* A floppy drive with or without a disk; its type follows the first disk (1.44M without). */
void chipset_attach_floppy(struct chipset *cs, unsigned drive, struct disk *disk);

#define CHIPSET_NET_DEVFN	PCI_DEVFN(3, 0)
#define CHIPSET_NET_ROM_MAX	(256u << 10)

/* Plug in the network card: send, receiver_ready and arg of host are the caller's. rom_bytes 0: it has no option ROM. */
void chipset_attach_net(struct chipset *cs, const uint8_t mac[6], const struct e1000_host *host, const uint8_t *rom, size_t rom_bytes);
void chipset_net_reset(struct chipset *cs);	/* between the files of the board */

#endif
