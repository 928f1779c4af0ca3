/*
 * What stands beside the network card's MAC: the serial EEPROM and the PHY.
 *			[8254x SDM "EEPROM Interface", "MDI Control Register", "PHY Registers"], [93C46], [IEEE 802.3 "22.2.4"]
 *
 * Left out: of the EEPROM, writing and erasing all words at once; of the PHY, pages, test modes, speeds below what the
 * partner can, the memory of a link that was lost: it negotiates at once, and gigabit. What is written to the EEPROM lasts until plex86 ends.
 */
#include <string.h>

#include "dev/e1000_internal.h"

enum { EECD_SK = BIT(0), EECD_CS = BIT(1), EECD_DI = BIT(2), EECD_DO = BIT(3), EECD_FWE = BIT(4) | BIT(5), EECD_REQ = BIT(6),
       EECD_GNT = BIT(7), EECD_PRES = BIT(8) };
enum { EERD_START = BIT(0), EERD_DONE = BIT(4) };
enum { EE_CHECKSUM = 0x3F, EE_SUM = 0xBABA };

void e1000_eeprom_init(struct e1000 *e, const uint8_t mac[6])
{
	uint16_t *w = e->eeprom, sum = 0;

	for (unsigned i = 0; i < 3; i++)
		w[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
	w[0x03] = 0x0000;		/* a network card, no modem; copper */
	w[0x05] = 0xFFFF;		/* version of this image: none */
	w[0x08] = w[0x09] = 0xFFFF;	/* board number: none */
	w[0x0A] = 0x4408;		/* initialization control 1: signature, subsystem IDs from here */
	w[0x0B] = 0x1100;		/* subsystem */
	w[0x0C] = 0x1AF4;
	w[0x0D] = 0x100E;		/* device */
	w[0x0E] = 0x8086;
	w[0x0F] = 0x3040;		/* initialization control 2 */
	w[0x21] = 0x7863;
	for (unsigned i = 0; i < EE_CHECKSUM; i++)
		sum = (uint16_t)(sum + w[i]);
	w[EE_CHECKSUM] = (uint16_t)(EE_SUM - sum);
}

void e1000_eeprom_reload(struct e1000 *e)
{
	*e1000_reg(e, RAL0) = e->eeprom[0] | (uint32_t)e->eeprom[1] << 16;
	*e1000_reg(e, RAH0) = e->eeprom[2] | RAH_AV;
}

void e1000_eerd_write(struct e1000 *e, uint32_t val)
{
	unsigned word = val >> 8 & 0xFF;

	if (val & EERD_START)
		*e1000_reg(e, EERD) = (uint32_t)(word < E1000_EEPROM_WORDS ? e->eeprom[word] : 0xFFFF) << 16 | word << 8 | EERD_DONE;
}

/* --- the serial line: start bit, two bits of operation, six of address, sixteen of data --- */

enum { OP_OTHER, OP_WRITE, OP_READ, OP_ERASE };

/* The address is in, or the data of a write. */
static void serial_command(struct e1000 *e)
{
	unsigned bits = e->serial.in_bits, in = e->serial.in >> (bits - 9), op = in >> 6 & 3, address = in & 0x3F;

	if (bits == 9 && op == OP_READ) {
		e->serial.out = e->eeprom[address];
		e->serial.out_bits = 16;
		e->serial.high = false;			/* a 0 comes before the data */
	} else if (bits == 9 && op == OP_OTHER && (address >> 4 == 3 || address >> 4 == 0)) {
		e->serial.writable = address >> 4 == 3;
	} else if (bits == 9 && op == OP_ERASE && e->serial.writable) {
		e->eeprom[address] = 0xFFFF;
	} else if (bits == 25 && op == OP_WRITE && e->serial.writable) {
		e->eeprom[address] = (uint16_t)e->serial.in;
	}
}

static void serial_clock(struct e1000 *e, bool data)
{
	if (e->serial.out_bits > 0) {
		e->serial.high = e->serial.out >> 15;
		e->serial.out = (uint16_t)(e->serial.out << 1);
		e->serial.out_bits--;
	} else if ((data || e->serial.in_bits > 0) && e->serial.in_bits < 25) {
		e->serial.in = e->serial.in << 1 | data;
		e->serial.in_bits++;
		if (e->serial.in_bits == 9 || e->serial.in_bits == 25)
			serial_command(e);
	}
}

uint32_t e1000_eecd_read(const struct e1000 *e)
{
	uint32_t val = e1000_get(e, EECD) | EECD_PRES;

	if (val & EECD_REQ)
		val |= EECD_GNT;
	return val | (e->serial.high ? EECD_DO : 0);
}

void e1000_eecd_write(struct e1000 *e, uint32_t val)
{
	bool clock = val & EECD_SK, selected = val & EECD_CS;

	*e1000_reg(e, EECD) = val & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
	if (!selected || !e->serial.selected) {
		e->serial.in = e->serial.in_bits = e->serial.out_bits = 0;
		e->serial.high = true;			/* ready */
	}
	if (selected && clock && !e->serial.clock)
		serial_clock(e, val & EECD_DI);
	e->serial.clock = clock;
	e->serial.selected = selected;
}

/* --- the PHY --- */

enum { PHY_CONTROL, PHY_STATUS, PHY_ID1, PHY_ID2, PHY_ADVERTISE, PHY_PARTNER, PHY_EXPANSION, PHY_1000_CONTROL = 9,
       PHY_1000_STATUS, PHY_EXTENDED = 15, PHY_SPECIFIC_CONTROL, PHY_SPECIFIC_STATUS };
enum { CONTROL_RESET = BIT(15), CONTROL_LOOPBACK = BIT(14), CONTROL_DOWN = BIT(11), CONTROL_ISOLATE = BIT(10), CONTROL_RESTART = BIT(9) };
enum { PHY_LINK = BIT(2), PHY_AN_DONE = BIT(5), SPECIFIC_LINK = 0xAC00 /* 1000 Mb/s, full duplex, resolved, link */ };

#define PHY_ADDRESS	1u

void e1000_phy_reset(struct e1000 *e)
{
	memset(e->phy, 0, sizeof(e->phy));
	e->phy[PHY_CONTROL] = 0x1140;		/* auto-negotiation, full duplex, 1000 Mb/s */
	e->phy[PHY_STATUS] = 0x7949;		/* 10 and 100 Mb/s in both ways, more in 15, it can negotiate */
	e->phy[PHY_ID1] = 0x0141;
	e->phy[PHY_ID2] = 0x0C20;
	e->phy[PHY_ADVERTISE] = 0x0DE1;
	e->phy[PHY_1000_CONTROL] = 0x0E00;
	e->phy[PHY_EXTENDED] = 0x3000;
	e->phy[PHY_SPECIFIC_CONTROL] = 0x0068;
}

bool e1000_phy_link(const struct e1000 *e)
{
	return e->cable && !(e->phy[PHY_CONTROL] & (CONTROL_DOWN | CONTROL_ISOLATE));
}

bool e1000_loopback(const struct e1000 *e)
{
	return (e1000_get(e, RCTL) & RCTL_LBM) || (e->phy[PHY_CONTROL] & CONTROL_LOOPBACK);
}

/* The partner can all speeds, and no pause frames. They are negotiated as soon as there is a link. */
static uint16_t phy_read(struct e1000 *e, unsigned reg)
{
	bool link = e1000_phy_link(e);
	uint16_t val = e->phy[reg];

	switch (reg) {
	case PHY_STATUS:
		return (uint16_t)(link ? val | PHY_LINK | PHY_AN_DONE : val);
	case PHY_PARTNER:
		return link ? 0x41E1 : 0;
	case PHY_EXPANSION:
		return link ? 0x0003 : 0;
	case PHY_1000_STATUS:
		return link ? 0x7C00 : 0;
	case PHY_SPECIFIC_STATUS:
		return link ? SPECIFIC_LINK : 0;
	default:
		return val;
	}
}

static void phy_write(struct e1000 *e, unsigned reg, uint16_t val)
{
	switch (reg) {
	case PHY_CONTROL:
		if (val & CONTROL_RESET)
			e1000_phy_reset(e);
		else
			e->phy[reg] = val & (uint16_t)~CONTROL_RESTART;
		break;
	case PHY_STATUS: case PHY_ID1: case PHY_ID2: case PHY_PARTNER: case PHY_EXPANSION: case PHY_1000_STATUS: case PHY_EXTENDED:
	case PHY_SPECIFIC_STATUS:
		break;
	default:
		e->phy[reg] = val;
	}
}

void e1000_mdic_write(struct e1000 *e, uint32_t val, ns_t now)
{
	enum { WRITE = 1, READ = 2, READY = BIT(28), INTERRUPT = BIT(29), ERROR = BIT(30) };
	unsigned op = val >> 26 & 3, reg = val >> 16 & 31;

	val = (val & 0x2FFFFFFF) | READY;
	if ((val >> 21 & 31) != PHY_ADDRESS || (op != READ && op != WRITE))
		val |= ERROR;
	else if (op == READ)
		val = (val & ~0xFFFFu) | phy_read(e, reg);
	else
		phy_write(e, reg, (uint16_t)val);
	*e1000_reg(e, MDIC) = val;
	e1000_link_changed(e, now);
	if (val & INTERRUPT)
		e1000_interrupt(e, INT_MDAC, now);
}
