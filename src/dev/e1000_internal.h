/*
 * Between the files of the network card: its registers by the manual's names.	[8254x SDM "Register Descriptions"]
 */
#ifndef PLEX86_DEV_E1000_INTERNAL_H
#define PLEX86_DEV_E1000_INTERNAL_H

#include "dev/e1000.h"

enum {
	CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, MDIC = 0x0020, FCAL = 0x0028,
	FCAH = 0x002C, FCT = 0x0030, VET = 0x0038, ICR = 0x00C0, ITR = 0x00C4, ICS = 0x00C8, IMS = 0x00D0, IMC = 0x00D8,
	RCTL = 0x0100, FCTTV = 0x0170, TXCW = 0x0178, TCTL = 0x0400, TIPG = 0x0410, AIT = 0x0458, LEDCTL = 0x0E00, PBA = 0x1000,
	FCRTL = 0x2160, FCRTH = 0x2168, RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820,
	RXDCTL = 0x2828, RADV = 0x282C, RSRPD = 0x2C00, TXDMAC = 0x3000, TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808,
	TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382C, TSPMT = 0x3830, RXCSUM = 0x5000, MTA = 0x5200,
	RAL0 = 0x5400, RAH0 = 0x5404, VFTA = 0x5600, WUC = 0x5800, WUFC = 0x5808, WUS = 0x5810, MANC = 0x5820, IPAV = 0x5838,
	IP4AT = 0x5840, IP6AT = 0x5880, WUPL = 0x5900, FFLT = 0x5F00,
};

enum {					/* statistics */
	STATS = 0x4000, MPC = 0x4010, PRC64 = 0x405C, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407C, GPTC = 0x4080, GORCL = 0x4088,
	GOTCL = 0x4090, RUC = 0x40A4, ROC = 0x40AC, TORL = 0x40C0, TORH = 0x40C4, TOTL = 0x40C8, TOTH = 0x40CC, TPR = 0x40D0, TPT = 0x40D4,
	PTC64 = 0x40D8, MPTC = 0x40F0, BPTC = 0x40F4, TSCTC = 0x40F8, STATS_END = 0x4100,
};

enum {					/* CTRL */
	CTRL_FD = BIT(0), CTRL_SLU = BIT(6), CTRL_RST = BIT(26), CTRL_VME = BIT(30), CTRL_PHY_RST = BIT(31),
	CTRL_EXT_EE_RST = BIT(13),
};
enum { STATUS_FD = BIT(0), STATUS_LU = BIT(1), STATUS_SPEED_1000 = BIT(7), STATUS_ASDV_1000 = BIT(9), STATUS_MTXCKOK = BIT(10) };
enum {					/* interrupt causes */
	INT_TXDW = BIT(0), INT_TXQE = BIT(1), INT_LSC = BIT(2), INT_RXDMT0 = BIT(4), INT_RXO = BIT(6), INT_RXT0 = BIT(7),
	INT_MDAC = BIT(9), INT_TXD_LOW = BIT(15), INT_ALL = 0x0001FFFF,
};
enum {
	RCTL_EN = BIT(1), RCTL_UPE = BIT(3), RCTL_MPE = BIT(4), RCTL_LPE = BIT(5), RCTL_LBM = BIT(6) | BIT(7), RCTL_BAM = BIT(15),
	RCTL_VFE = BIT(18), RCTL_CFIEN = BIT(19), RCTL_CFI = BIT(20), RCTL_BSEX = BIT(25), RCTL_SECRC = BIT(26),
};
enum { TCTL_EN = BIT(1), TCTL_PSP = BIT(3) };
enum { RXCSUM_IPOFL = BIT(8), RXCSUM_TUOFL = BIT(9) };
#define RAH_AV		0x80000000u

static inline uint32_t *e1000_reg(struct e1000 *e, unsigned offset) { return &e->reg[offset / 4]; }
static inline uint32_t e1000_get(const struct e1000 *e, unsigned offset) { return e->reg[offset / 4]; }

/* A ring of descriptors, by its first register: base, length, head and tail lie at the same distances in both. */
enum { RING_RX = RDBAL, RING_TX = TDBAL, RING_LEN = RDLEN - RDBAL, RING_HEAD = RDH - RDBAL, RING_TAIL = RDT - RDBAL };
#define DESCRIPTOR_BYTES 16u

static inline uint32_t e1000_ring_size(const struct e1000 *e, unsigned ring)
{
	return e1000_get(e, ring + RING_LEN) / DESCRIPTOR_BYTES;
}
uint32_t e1000_ring_filled(const struct e1000 *e, unsigned ring);	/* descriptors from head to tail; 0: none, or no ring */
gpa_t e1000_ring_at(const struct e1000 *e, unsigned ring);		/* the one at head */
void e1000_ring_step(struct e1000 *e, unsigned ring);

void e1000_dma_read(struct e1000 *e, gpa_t gpa, void *buf, size_t len);
void e1000_dma_write(struct e1000 *e, gpa_t gpa, const void *buf, size_t len);

void e1000_interrupt(struct e1000 *e, uint32_t causes, ns_t now);
void e1000_update_irq(struct e1000 *e, ns_t now);
void e1000_schedule(struct e1000 *e, ns_t *at, ns_t when);
void e1000_count(struct e1000 *e, unsigned counter, uint32_t n);	/* stops at its highest value */
void e1000_count_frame(struct e1000 *e, const uint8_t *frame, size_t len, bool out);
void e1000_link_changed(struct e1000 *e, ns_t now);		/* perhaps */

/* --- EEPROM and PHY --- */
void e1000_eeprom_init(struct e1000 *e, const uint8_t mac[6]);
void e1000_eeprom_reload(struct e1000 *e);		/* the station's address */
uint32_t e1000_eecd_read(const struct e1000 *e);
void e1000_eecd_write(struct e1000 *e, uint32_t val);
void e1000_eerd_write(struct e1000 *e, uint32_t val);
void e1000_phy_reset(struct e1000 *e);
bool e1000_phy_link(const struct e1000 *e);
bool e1000_loopback(const struct e1000 *e);
void e1000_mdic_write(struct e1000 *e, uint32_t val, ns_t now);

/* --- the ways out and in --- */
void e1000_tx_reset(struct e1000 *e);
void e1000_tx_run(struct e1000 *e, ns_t now);
void e1000_rx_tail(struct e1000 *e);			/* the guest may have made room, or there is none to wait for */

/* The sum of 16-bit words as Internet checksums have it, not folded. An odd last byte is a word's first.	[RFC 1071] */
uint32_t e1000_sum(const uint8_t *p, size_t len);
static inline uint16_t e1000_fold(uint32_t sum)
{
	sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}
static inline uint16_t e1000_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline void e1000_put_be16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }

#endif
