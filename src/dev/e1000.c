/*
 * The network card's registers, interrupts and statistics. e1000_tx.c and e1000_rx.c have its two ways,
 * e1000_eeprom.c what is soldered beside it.					[8254x SDM]
 *
 * Left out: power management and wake-up (their registers keep what is written), flexible filters and the packet buffer's
 * own window (read as 0), flow control (no pause frame is sent or obeyed), the 82542's register addresses, MSI. Link
 * speed and duplex are what a gigabit partner agrees to, at once.
 */
#include "dev/e1000_internal.h"

#include <string.h>

#define ITR_UNIT_NS	256u

/* What software can write and read back, and which bits of it. */
static const struct { uint16_t first, last; uint32_t mask; } plain[] = {
	{ CTRL_EXT, CTRL_EXT, 0x1FFFDFFF }, { FCAL, FCAL, 0xFFFFFFFF }, { FCAH, FCAH, 0xFFFF }, { FCT, FCT, 0xFFFF }, { VET, VET, 0xFFFF },
	{ FCTTV, FCTTV, 0xFFFF }, { TXCW, TXCW, 0xC000FFFF }, { TIPG, TIPG, 0x3FFFFFFF }, { AIT, AIT, 0xFFFF }, { LEDCTL, LEDCTL, 0xCFCFCFCF },
	{ PBA, PBA, 0x7F }, { FCRTL, FCRTL, 0x8000FFF8 }, { FCRTH, FCRTH, 0xFFF8 }, { RDBAL, RDBAL, 0xFFFFFFF0 }, { RDBAH, RDBAH, 0xFFFFFFFF },
	{ RDLEN, RDLEN, 0xFFF80 }, { RDH, RDH, 0xFFFF }, { RXDCTL, RXDCTL, 0x013F3F3F }, { RADV, RADV, 0xFFFF }, { RSRPD, RSRPD, 0xFFF },
	{ TXDMAC, TXDMAC, 1 }, { TDBAL, TDBAL, 0xFFFFFFF0 }, { TDBAH, TDBAH, 0xFFFFFFFF }, { TDLEN, TDLEN, 0xFFF80 }, { TDH, TDH, 0xFFFF },
	{ TXDCTL, TXDCTL, 0xFF3F3F3F }, { TADV, TADV, 0xFFFF }, { TSPMT, TSPMT, 0xFFFFFFFF }, { RXCSUM, RXCSUM, 0x7FF },
	{ MTA, MTA + 0x1FC, 0xFFFFFFFF }, { VFTA, VFTA + 0x1FC, 0xFFFFFFFF }, { WUC, WUC, 0xF }, { WUFC, WUFC, 0xF80FF },
	{ WUS, WUS, 0xF80FF }, { MANC, MANC, 0x3FF8A1FF }, { IPAV, IPAV, 0x1000F }, { IP4AT, IP4AT + 0x1C, 0xFFFFFFFF },
	{ IP6AT, IP6AT + 0xC, 0xFFFFFFFF }, { FFLT, FFLT + 0x18, 0x7FF },
};

/* --- rings --- */

uint32_t e1000_ring_filled(const struct e1000 *e, unsigned ring)
{
	uint32_t n = e1000_ring_size(e, ring), head = e1000_get(e, ring + RING_HEAD), tail = e1000_get(e, ring + RING_TAIL);

	if (head >= n || tail >= n)		/* no place in it: the manual allows no such thing */
		return 0;
	return tail >= head ? tail - head : n - head + tail;
}

gpa_t e1000_ring_at(const struct e1000 *e, unsigned ring)
{
	gpa_t base = (gpa_t)e1000_get(e, ring + 4) << 32 | e1000_get(e, ring);

	return base + e1000_get(e, ring + RING_HEAD) * DESCRIPTOR_BYTES;
}

void e1000_ring_step(struct e1000 *e, unsigned ring)
{
	uint32_t *head = e1000_reg(e, ring + RING_HEAD);

	if (++*head >= e1000_ring_size(e, ring))
		*head = 0;
}

void e1000_dma_read(struct e1000 *e, gpa_t gpa, void *buf, size_t len)
{
	e->in_dma = true;
	e->host.mem_read(e->host.arg, gpa, buf, len);
	e->in_dma = false;
}

void e1000_dma_write(struct e1000 *e, gpa_t gpa, const void *buf, size_t len)
{
	e->in_dma = true;
	e->host.mem_write(e->host.arg, gpa, buf, len);
	e->in_dma = false;
}

/* --- interrupts --- */

void e1000_schedule(struct e1000 *e, ns_t *at, ns_t when)
{
	ns_t was = e1000_next(e);

	*at = when;
	if (e1000_next(e) != was && e->host.timer_changed)
		e->host.timer_changed(e->host.arg);
}

/* The pin is high while a cause is there that the mask lets through; ITR is the least time from one rise to the next. */
void e1000_update_irq(struct e1000 *e, ns_t now)
{
	bool wanted = e1000_get(e, ICR) & e1000_get(e, IMS);

	if (wanted && !e->irq && now < e->irq_after) {
		if (e->host.timer_changed)
			e->host.timer_changed(e->host.arg);
		return;
	}
	if (wanted && !e->irq)
		e->irq_after = now + (ns_t)(e1000_get(e, ITR) & 0xFFFF) * ITR_UNIT_NS;
	if (wanted != e->irq) {
		e->irq = wanted;
		e->host.set_irq(e->host.arg, wanted);
	}
}

/* Causes that waited for others are due with any interrupt.	[8254x SDM "Receive Interrupts", "Transmit Interrupts"] */
void e1000_interrupt(struct e1000 *e, uint32_t causes, ns_t now)
{
	*e1000_reg(e, ICR) |= causes;
	if (e1000_get(e, ICR) & e1000_get(e, IMS)) {
		if (e->rx_irq_at != E1000_NEVER)
			*e1000_reg(e, ICR) |= INT_RXT0;
		if (e->tx_irq_at != E1000_NEVER)
			*e1000_reg(e, ICR) |= INT_TXDW;
		e->rx_irq_at = e->rx_irq_latest = e->tx_irq_at = e->tx_irq_latest = E1000_NEVER;
	}
	e1000_update_irq(e, now);
}

ns_t e1000_next(const struct e1000 *e)
{
	ns_t next = MIN(MIN(e->rx_irq_at, e->rx_irq_latest), MIN(e->tx_irq_at, e->tx_irq_latest));

	if (!e->irq && (e1000_get(e, ICR) & e1000_get(e, IMS)))
		next = MIN(next, e->irq_after);
	return MIN(next, e->tx_more_at);
}

void e1000_update(struct e1000 *e, ns_t now)
{
	if (now >= MIN(e->rx_irq_at, e->rx_irq_latest)) {
		e->rx_irq_at = e->rx_irq_latest = E1000_NEVER;
		e1000_interrupt(e, INT_RXT0, now);
	}
	if (now >= MIN(e->tx_irq_at, e->tx_irq_latest)) {
		e->tx_irq_at = e->tx_irq_latest = E1000_NEVER;
		e1000_interrupt(e, INT_TXDW, now);
	}
	if (now >= e->tx_more_at) {
		e->tx_more_at = E1000_NEVER;
		e1000_tx_run(e, now);
	}
	e1000_update_irq(e, now);
}

/* --- link --- */

/* The MAC heeds the PHY's link only with SLU.			[8254x SDM "Device Control Register"] */
bool e1000_link(const struct e1000 *e)
{
	return (e1000_get(e, CTRL) & CTRL_SLU) && e1000_phy_link(e);
}

void e1000_link_changed(struct e1000 *e, ns_t now)
{
	uint32_t *status = e1000_reg(e, STATUS);
	bool up = e1000_link(e);

	if (up == (bool)(*status & STATUS_LU))
		return;
	*status ^= STATUS_LU;
	e1000_interrupt(e, INT_LSC, now);
	e1000_rx_tail(e);
	e1000_tx_run(e, now);
}

void e1000_set_cable(struct e1000 *e, bool in, ns_t now)
{
	e->cable = in;
	e1000_link_changed(e, now);
}

void e1000_set_master(struct e1000 *e, bool on, ns_t now)
{
	bool was = e->master;

	e->master = on;
	if (on && !was) {
		e1000_rx_tail(e);
		e1000_tx_run(e, now);
	}
}

/* --- statistics --- */

void e1000_count(struct e1000 *e, unsigned counter, uint32_t n)
{
	uint32_t *c = e1000_reg(e, counter);

	*c = *c > UINT32_MAX - n ? UINT32_MAX : *c + n;
}

static void count_bytes(struct e1000 *e, unsigned counter, uint32_t n)
{
	uint32_t *low = e1000_reg(e, counter);
	uint64_t sum = ((uint64_t)low[1] << 32 | low[0]) + n;

	low[0] = (uint32_t)sum;
	low[1] = (uint32_t)(sum >> 32);
}

/* A good frame, its check sequence counted, too. */
void e1000_count_frame(struct e1000 *e, const uint8_t *frame, size_t len, bool out)
{
	static const uint8_t broadcast[6] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
	uint32_t bytes = (uint32_t)len + 4;
	unsigned class = bytes <= 64 ? 0 : bytes < 128 ? 1 : bytes < 256 ? 2 : bytes < 512 ? 3 : bytes < 1024 ? 4 : 5;

	e1000_count(e, (out ? PTC64 : PRC64) + 4 * class, 1);
	e1000_count(e, out ? GPTC : GPRC, 1);
	e1000_count(e, out ? TPT : TPR, 1);
	count_bytes(e, out ? GOTCL : GORCL, bytes);
	count_bytes(e, out ? TOTL : TORL, bytes);
	if (memcmp(frame, broadcast, 6) == 0)
		e1000_count(e, out ? BPTC : BPRC, 1);
	else if (frame[0] & 1)
		e1000_count(e, out ? MPTC : MPRC, 1);
	*(out ? &e->frames_out : &e->frames_in) += 1;
	*(out ? &e->bytes_out : &e->bytes_in) += len;
}

void e1000_missed(struct e1000 *e, uint32_t frames)
{
	e1000_count(e, MPC, frames);
}

/* A counter is cleared when it is read; of the wide ones both halves with the upper. */
static uint32_t read_counter(struct e1000 *e, uint32_t offset)
{
	bool wide = (offset & ~4u) == GORCL || (offset & ~4u) == GOTCL || (offset & ~4u) == TORL || (offset & ~4u) == TOTL;
	uint32_t *c = e1000_reg(e, offset), val = *c;

	if (!wide)
		*c = 0;
	else if (offset & 4)
		c[-1] = c[0] = 0;
	return val;
}

/* --- reset --- */

/* CTRL.RST, and the end of RST#: all but PCI's configuration. The PHY is reset with it. */
static void reset(struct e1000 *e)
{
	memset(e->reg, 0, sizeof(e->reg));
	*e1000_reg(e, CTRL) = CTRL_FD | BIT(5) | BIT(9);	/* auto-speed detection; 1000 Mb/s */
	*e1000_reg(e, STATUS) = STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000 | STATUS_MTXCKOK;
	*e1000_reg(e, TIPG) = 0x00602008;
	*e1000_reg(e, PBA) = 0x30;				/* KiB for receiving, of 64 */
	*e1000_reg(e, LEDCTL) = 0x07068302;
	e->rx_irq_at = e->rx_irq_latest = e->tx_irq_at = e->tx_irq_latest = e->tx_more_at = E1000_NEVER;
	e->irq_after = 0;
	memset(&e->serial, 0, sizeof(e->serial));
	e1000_tx_reset(e);
	e1000_phy_reset(e);
	e1000_eeprom_reload(e);
	if (e->irq) {
		e->irq = false;
		e->host.set_irq(e->host.arg, false);
	}
	e1000_rx_tail(e);
}

void e1000_reset(struct e1000 *e)
{
	e->io_address = 0;
	e->master = false;
	reset(e);
}

void e1000_init(struct e1000 *e, const uint8_t mac[6], const struct e1000_host *host)
{
	memset(e, 0, sizeof(*e));
	e->host = *host;
	e1000_eeprom_init(e, mac);
	e1000_reset(e);
}

/* --- accesses --- */

static uint32_t read_register(struct e1000 *e, uint32_t offset, ns_t now)
{
	uint32_t val;

	if (offset >= E1000_REGS * 4)
		return 0;
	switch (offset) {
	case ICR:
		val = e1000_get(e, ICR);
		*e1000_reg(e, ICR) = 0;
		e1000_update_irq(e, now);
		return val;
	case EECD:
		return e1000_eecd_read(e);
	case STATS ... STATS_END - 1:
		return read_counter(e, offset);
	default:
		return e1000_get(e, offset);
	}
}

static void write_ctrl(struct e1000 *e, uint32_t val, ns_t now)
{
	if (val & CTRL_RST) {
		reset(e);
		return;
	}
	if (val & CTRL_PHY_RST)
		e1000_phy_reset(e);
	*e1000_reg(e, CTRL) = val & ~(CTRL_RST | CTRL_PHY_RST);
	e1000_link_changed(e, now);
}

/* An interrupt's delay, with a bit that ends it now.		[8254x SDM "Receive Delay Timer Register"] */
static void write_delay(struct e1000 *e, uint32_t offset, uint32_t val, ns_t now)
{
	bool rx = offset == RDTR;
	ns_t *at = rx ? &e->rx_irq_at : &e->tx_irq_at, *latest = rx ? &e->rx_irq_latest : &e->tx_irq_latest;

	*e1000_reg(e, offset) = val & 0xFFFF;
	if ((val & 0x80000000u) && *at != E1000_NEVER) {
		*at = *latest = E1000_NEVER;
		e1000_interrupt(e, rx ? INT_RXT0 : INT_TXDW, now);
	}
}

static void write_plain(struct e1000 *e, uint32_t offset, uint32_t val)
{
	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		if (offset >= plain[i].first && offset <= plain[i].last) {
			*e1000_reg(e, offset) = val & plain[i].mask;
			return;
		}
}

static void write_register(struct e1000 *e, uint32_t offset, uint32_t val, ns_t now)
{
	switch (offset) {
	case CTRL: case CTRL + 4:
		write_ctrl(e, val, now);
		break;
	case EECD:
		e1000_eecd_write(e, val);
		break;
	case EERD:
		e1000_eerd_write(e, val);
		break;
	case MDIC:
		e1000_mdic_write(e, val, now);
		break;
	case CTRL_EXT:
		write_plain(e, offset, val);
		if (val & CTRL_EXT_EE_RST)
			e1000_eeprom_reload(e);
		break;
	case ICR:				/* ones clear */
		*e1000_reg(e, ICR) &= ~val;
		e1000_update_irq(e, now);
		break;
	case ITR:
		*e1000_reg(e, ITR) = val & 0xFFFF;
		break;
	case ICS:
		e1000_interrupt(e, val & INT_ALL, now);
		break;
	case IMS:
		*e1000_reg(e, IMS) |= val & INT_ALL;
		e1000_interrupt(e, 0, now);
		break;
	case IMC:
		*e1000_reg(e, IMS) &= ~val;
		e1000_update_irq(e, now);
		break;
	case RCTL:
		*e1000_reg(e, RCTL) = val & 0x07DEF3FE;
		e1000_rx_tail(e);
		break;
	case TCTL:
		*e1000_reg(e, TCTL) = val & 0x017FFFFA;
		e1000_tx_run(e, now);
		break;
	case RDT:
		*e1000_reg(e, RDT) = val & 0xFFFF;
		e1000_rx_tail(e);
		break;
	case TDT:
		*e1000_reg(e, TDT) = val & 0xFFFF;
		e1000_tx_run(e, now);
		break;
	case RDTR: case TIDV:
		write_delay(e, offset, val, now);
		break;
	case RAL0 ... RAL0 + 0x7C:
		*e1000_reg(e, offset) = offset & 4 ? val & 0x8003FFFF : val;
		break;
	default:
		write_plain(e, offset, val);
		break;
	}
}

uint32_t e1000_read(struct e1000 *e, uint32_t offset, unsigned size, ns_t now)
{
	uint32_t val = e->in_dma ? UINT32_MAX : read_register(e, offset & (E1000_BYTES - 1) & ~3u, now);

	return size == 4 ? val : (val >> 8 * (offset & 3)) & ((1u << 8 * size) - 1);
}

void e1000_write(struct e1000 *e, uint32_t offset, unsigned size, uint32_t val, ns_t now)
{
	if (size == 4 && (offset & 3) == 0 && !e->in_dma)
		write_register(e, offset & (E1000_BYTES - 1), val, now);
}

/* IOADDR at 0, IODATA at 4: doublewords.				[8254x SDM "I/O-Mapped Internal Register"] */
uint32_t e1000_io_read(struct e1000 *e, unsigned offset, unsigned size, ns_t now)
{
	if (offset < 4)
		return size == 4 ? e->io_address : e->io_address >> 8 * offset;
	if (offset == 4 && size == 4 && e->io_address < E1000_BYTES)
		return e1000_read(e, e->io_address, 4, now);
	return 0;
}

void e1000_io_write(struct e1000 *e, unsigned offset, unsigned size, uint32_t val, ns_t now)
{
	if (size != 4)
		return;
	if (offset == 0)
		e->io_address = val;
	else if (offset == 4 && e->io_address < E1000_BYTES)
		e1000_write(e, e->io_address, 4, val, now);
}
