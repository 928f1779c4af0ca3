/*
 * Local APIC.		[SDM 3, "Advanced Programmable Interrupt Controller (APIC)"]
 *
 * One processor: interprocessor interrupts reach itself or nobody. The timer is not stepped: its count
 * is computed from the time since it was started.
 * Left out: x2APIC mode, TSC deadline, thermal and performance counter sources (their LVT entries are
 * plain storage), SMI, INIT (which the processor could send to itself only).
 */
#include <string.h>

#include "dev/lapic.h"

/* Timer interrupts beyond this many are lost for good: a guest that slept does not want them all back. */
#define LATE_TICKS_MAX 200
#define NEVER UINT64_MAX

enum {
	R_ID = 0x20, R_VERSION = 0x30, R_TPR = 0x80, R_APR = 0x90, R_PPR = 0xA0, R_EOI = 0xB0, R_LDR = 0xD0,
	R_DFR = 0xE0, R_SVR = 0xF0, R_ISR = 0x100, R_TMR = 0x180, R_IRR = 0x200, R_ESR = 0x280,
	R_ICR_LOW = 0x300, R_ICR_HIGH = 0x310, R_LVT = 0x320, R_LVT_ERROR = 0x370, R_INITIAL = 0x380,
	R_CURRENT = 0x390, R_DIVIDE = 0x3E0,
};
enum { LVT_MASKED = BIT(16), LVT_LEVEL = BIT(15), LVT_REMOTE_IRR = BIT(14), LVT_PERIODIC = BIT(17) };
enum { SVR_ENABLED = BIT(8), BASE_ENABLED = BIT(11), BASE_BSP = BIT(8) };
enum { ESR_ILLEGAL_SENT = BIT(5), ESR_ILLEGAL_RECEIVED = BIT(6), ESR_ILLEGAL_REGISTER = BIT(7) };

void lapic_reset(struct lapic *apic)
{
	struct lapic keep = *apic;

	memset(apic, 0, sizeof(*apic));
	apic->eoi = keep.eoi;
	apic->nmi = keep.nmi;
	apic->arg = keep.arg;
	apic->lint0 = keep.lint0;
	apic->base_msr = LAPIC_BASE | BASE_ENABLED | BASE_BSP;
	apic->dfr = 0xFFFFFFFF;
	apic->svr = 0xFF;
	for (unsigned i = 0; i < LAPIC_LVTS; i++)
		apic->lvt[i] = LVT_MASKED;
	/* The manual has LINT0 masked here, and firmware open it for the 8259A before anything else. A
	 * guest started without firmware expects that done. */
	apic->lvt[LAPIC_LVT_LINT0] = LAPIC_EXTINT << 8;
}

bool lapic_enabled(const struct lapic *apic)
{
	return apic->base_msr & BASE_ENABLED;
}

static bool software_enabled(const struct lapic *apic)
{
	return lapic_enabled(apic) && apic->svr & SVR_ENABLED;
}

/* --- vectors --- */

static void set_bit(uint32_t *map, uint8_t vector) { map[vector / 32] |= 1u << vector % 32; }
static void clear_bit(uint32_t *map, uint8_t vector) { map[vector / 32] &= ~(1u << vector % 32); }
static bool test_bit(const uint32_t *map, uint8_t vector) { return map[vector / 32] >> vector % 32 & 1; }

static int highest(const uint32_t *map)
{
	for (int i = 7; i >= 0; i--)
		if (map[i] != 0)
			return i * 32 + 31 - __builtin_clz(map[i]);
	return -1;
}

/* Processor priority: the higher of TPR and the vector in service.   [SDM 3, "Task and Processor Priorities"] */
static uint32_t ppr(const struct lapic *apic)
{
	int isr = highest(apic->isr);
	uint32_t in_service = isr < 0 ? 0 : isr & 0xF0;

	return (apic->tpr & 0xF0) >= in_service ? apic->tpr : in_service;
}

static int deliverable(const struct lapic *apic)
{
	int irr = highest(apic->irr);

	return software_enabled(apic) && irr >= 0 && (uint32_t)(irr & 0xF0) > (ppr(apic) & 0xF0) ? irr : -1;
}

static void error(struct lapic *apic, uint32_t bit);

static void accept(struct lapic *apic, uint8_t vector, bool level)
{
	if (vector < 16) {
		error(apic, ESR_ILLEGAL_RECEIVED);
		return;
	}
	set_bit(apic->irr, vector);
	if (level)
		set_bit(apic->tmr, vector);
	else
		clear_bit(apic->tmr, vector);
}

void lapic_deliver(struct lapic *apic, enum lapic_mode mode, uint8_t vector, bool level)
{
	switch (mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		if (software_enabled(apic))
			accept(apic, vector, level);
		break;
	case LAPIC_NMI:
		if (apic->nmi != NULL)
			apic->nmi(apic->arg);
		break;
	default:
		break;
	}
}

/* An interrupt of our own, through its local vector table entry. */
static void fire(struct lapic *apic, unsigned entry)
{
	uint32_t lvt = apic->lvt[entry];

	if (!(lvt & LVT_MASKED))
		lapic_deliver(apic, entry == LAPIC_LVT_TIMER || entry == LAPIC_LVT_ERROR ? LAPIC_FIXED : lvt >> 8 & 7,
		    lvt, false);
}

static void error(struct lapic *apic, uint32_t bit)
{
	if (apic->esr_pending & bit)
		return;
	apic->esr_pending |= bit;
	fire(apic, LAPIC_LVT_ERROR);
}

bool lapic_matches(const struct lapic *apic, uint8_t dest, bool logical)
{
	if (!logical)
		return dest == 0xFF || dest == apic->id >> 24;
	uint8_t mda = apic->ldr >> 24;
	if (apic->dfr >> 28 == 0xF)		/* flat model */
		return dest & mda;
	/* cluster model: equal cluster, or all of them */
	return ((dest >> 4) == 15 || (dest >> 4) == (mda >> 4)) && dest & mda & 15;
}

/* --- the pins --- */

static bool lint0_extint(const struct lapic *apic)
{
	uint32_t lvt = apic->lvt[LAPIC_LVT_LINT0];

	/* Disabled in the MSR, the chip is a wire: LINT0 is INTR. */
	return !lapic_enabled(apic) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == LAPIC_EXTINT);
}

/* A level-triggered fixed LINT0 is sent again after each EOI for as long as the pin is up. */
static void lint0_level(struct lapic *apic)
{
	uint32_t *lvt = &apic->lvt[LAPIC_LVT_LINT0];

	if (apic->lint0 && !(*lvt & (LVT_MASKED | LVT_REMOTE_IRR)) && *lvt & LVT_LEVEL && (*lvt >> 8 & 7) == LAPIC_FIXED &&
	    software_enabled(apic)) {
		*lvt |= LVT_REMOTE_IRR;
		accept(apic, *lvt, true);
	}
}

void lapic_set_lint0(struct lapic *apic, bool level)
{
	bool rise = level && !apic->lint0;
	uint32_t lvt = apic->lvt[LAPIC_LVT_LINT0];

	apic->lint0 = level;
	if (lapic_enabled(apic) && rise && (lvt >> 8 & 7) != LAPIC_EXTINT && !(lvt & LVT_LEVEL))
		fire(apic, LAPIC_LVT_LINT0);
	lint0_level(apic);
}

bool lapic_intr(const struct lapic *apic)
{
	return deliverable(apic) >= 0 || (lint0_extint(apic) && apic->lint0);
}

int lapic_ack(struct lapic *apic)
{
	int vector = deliverable(apic);

	if (vector >= 0) {
		clear_bit(apic->irr, vector);
		set_bit(apic->isr, vector);
		return vector;
	}
	if (lint0_extint(apic))
		return -1;
	return apic->svr & 0xFF;		/* it went away: the spurious vector, not in service */
}

static void eoi(struct lapic *apic)
{
	int vector = highest(apic->isr);

	if (vector < 0)
		return;
	clear_bit(apic->isr, vector);
	if (!test_bit(apic->tmr, vector))
		return;
	if ((apic->lvt[LAPIC_LVT_LINT0] & (LVT_REMOTE_IRR | 0xFF)) == (LVT_REMOTE_IRR | (uint32_t)vector)) {
		apic->lvt[LAPIC_LVT_LINT0] &= ~LVT_REMOTE_IRR;
		lint0_level(apic);
	}
	if (apic->eoi != NULL)
		apic->eoi(apic->arg, vector);
}

/* --- timer --- */

static uint64_t ns_per_count(const struct lapic *apic)
{
	unsigned code = (apic->divide & 3) | (apic->divide >> 1 & 4);

	return (code == 7 ? 1u : 2u << code) * (1000000000u / LAPIC_BUS_HZ);
}

static bool periodic(const struct lapic *apic)
{
	return apic->lvt[LAPIC_LVT_TIMER] & LVT_PERIODIC;
}

static uint64_t period(const struct lapic *apic)
{
	return apic->initial * ns_per_count(apic);
}

static uint32_t current_count(const struct lapic *apic, ns_t now)
{
	if (!apic->running || apic->initial == 0)
		return 0;
	uint64_t counts = (now - apic->start) / ns_per_count(apic);
	if (periodic(apic))
		return apic->initial - counts % apic->initial;
	return counts >= apic->initial ? 0 : apic->initial - counts;
}

/* The vector waits for the CPU or is in service: another interrupt would be swallowed. */
static bool timer_busy(const struct lapic *apic)
{
	uint8_t vector = apic->lvt[LAPIC_LVT_TIMER];

	return test_bit(apic->irr, vector) || test_bit(apic->isr, vector);
}

ns_t lapic_next(const struct lapic *apic, ns_t now)
{
	if (!apic->running || apic->initial == 0 || apic->lvt[LAPIC_LVT_TIMER] & LVT_MASKED)
		return NEVER;
	ns_t next = apic->start + (apic->periods + 1) * period(apic);
	if (next <= now && periodic(apic) && timer_busy(apic))
		return NEVER;			/* the EOI will bring it */
	return next;
}

/*
 * Where the host was late, several periods have passed in one look: they are handed out one by one as
 * the guest takes them, since a guest that tells the time by counting them would be slow else. (IRR
 * has one bit: on hardware they are lost, but there the processor is not away for a time slice.)
 */
void lapic_update(struct lapic *apic, ns_t now)
{
	if (!apic->running || apic->initial == 0 || now < apic->start)
		return;
	uint64_t elapsed = (now - apic->start) / period(apic);
	if (elapsed <= apic->periods)
		return;
	if (!periodic(apic)) {
		apic->running = false;
		apic->periods = elapsed;
		beat_came(&apic->beat, now);
	} else if (apic->lvt[LAPIC_LVT_TIMER] & LVT_MASKED) {
		apic->periods = elapsed;	/* nobody counts them */
	} else if (!timer_busy(apic)) {
		apic->periods = MAX(apic->periods + 1, elapsed > LATE_TICKS_MAX ? elapsed - LATE_TICKS_MAX : 0);
	} else {
		return;
	}
	fire(apic, LAPIC_LVT_TIMER);
}

ns_t lapic_tick(const struct lapic *apic)
{
	return periodic(apic) ? period(apic) : apic->beat.period;
}

/* Start counting anew, as when the initial count is written. */
static void timer_start(struct lapic *apic, ns_t now)
{
	apic->start = now;
	apic->periods = 0;
	apic->running = apic->initial != 0;
	if (apic->running && !periodic(apic))
		beat_set(&apic->beat, now, now + period(apic));
	else
		beat_lost(&apic->beat);
}

/* The divider changes under way: the rest of the count goes on at the new pace. */
static void timer_divide(struct lapic *apic, uint32_t val, ns_t now)
{
	uint32_t left = current_count(apic, now);

	lapic_update(apic, now);
	if (apic->divide != (val & 0xB))
		beat_lost(&apic->beat);
	apic->divide = val & 0xB;
	if (apic->running) {
		uint64_t done = (uint64_t)(apic->initial - left) * ns_per_count(apic);
		apic->start = now >= done ? now - done : 0;
		apic->periods = 0;
	}
}

/* --- interprocessor interrupts --- */

static void send_ipi(struct lapic *apic)
{
	uint32_t icr = apic->icr_low;
	enum lapic_mode mode = icr >> 8 & 7;
	bool to_us;

	switch (icr >> 18 & 3) {
	case 0:
		to_us = lapic_matches(apic, apic->icr_high >> 24, icr & BIT(11));
		break;
	case 1: case 2:				/* self; all including self */
		to_us = true;
		break;
	default:
		to_us = false;
	}
	if ((mode == LAPIC_FIXED || mode == LAPIC_LOWEST) && (icr & 0xFF) < 16) {
		error(apic, ESR_ILLEGAL_SENT);
		return;
	}
	if (!to_us || mode == LAPIC_SIPI)	/* we are running: a start-up message is ignored */
		return;
	lapic_deliver(apic, mode, icr, false);
}

/* --- registers --- */

static uint32_t read_register(struct lapic *apic, unsigned offset, ns_t now)
{
	switch (offset) {
	case R_ID: return apic->id;
	case R_VERSION: return 0x14 | (LAPIC_LVTS - 1) << 16;
	case R_TPR: return apic->tpr;
	case R_APR: return 0;
	case R_PPR: return ppr(apic);
	case R_EOI: return 0;
	case R_LDR: return apic->ldr;
	case R_DFR: return apic->dfr;
	case R_SVR: return apic->svr;
	case R_ESR: return apic->esr;
	case R_ICR_LOW: return apic->icr_low;
	case R_ICR_HIGH: return apic->icr_high;
	case R_INITIAL: return apic->initial;
	case R_CURRENT: return current_count(apic, now);
	case R_DIVIDE: return apic->divide;
	}
	if (offset >= R_LVT && offset <= R_LVT_ERROR)
		return apic->lvt[(offset - R_LVT) / 16];
	if (offset >= R_ISR && offset < R_TMR)
		return apic->isr[(offset - R_ISR) / 16];
	if (offset >= R_TMR && offset < R_IRR)
		return apic->tmr[(offset - R_TMR) / 16];
	if (offset >= R_IRR && offset < R_ESR)
		return apic->irr[(offset - R_IRR) / 16];
	error(apic, ESR_ILLEGAL_REGISTER);
	return 0;
}

uint32_t lapic_read(struct lapic *apic, unsigned offset, ns_t now)
{
	lapic_update(apic, now);
	if (offset & 15)			/* registers stand 16 bytes apart */
		return read_register(apic, offset & ~15u, now) >> 8 * (offset & 3);
	return read_register(apic, offset, now);
}

/* Switched off by software, the local vector table is masked.  [SDM 3, "Local APIC State After It Has Been Software Disabled"] */
static void write_svr(struct lapic *apic, uint32_t val)
{
	apic->svr = val & 0x1FF;
	if (!(val & SVR_ENABLED))
		for (unsigned i = 0; i < LAPIC_LVTS; i++)
			apic->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct lapic *apic, unsigned i, uint32_t val)
{
	static const uint32_t writable[LAPIC_LVTS] = { 0x300FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF };

	val &= writable[i];
	if (!(apic->svr & SVR_ENABLED))
		val |= LVT_MASKED;
	uint32_t was = apic->lvt[i];

	apic->lvt[i] = val | (apic->lvt[i] & LVT_REMOTE_IRR);
	if (i == LAPIC_LVT_LINT0)
		lint0_level(apic);
	else if (i == LAPIC_LVT_TIMER && val != was)
		beat_lost(&apic->beat);
}

void lapic_write(struct lapic *apic, unsigned offset, uint32_t val, ns_t now)
{
	lapic_update(apic, now);
	switch (offset) {
	case R_ID: apic->id = val & 0xFF000000; return;
	case R_TPR: apic->tpr = val & 0xFF; return;
	case R_EOI:
		eoi(apic);
		lapic_update(apic, now);	/* a tick that is late */
		return;
	case R_LDR: apic->ldr = val & 0xFF000000; return;
	case R_DFR: apic->dfr = val | 0x0FFFFFFF; return;
	case R_SVR: write_svr(apic, val); return;
	case R_ESR:				/* a write shows what has gathered since the last */
		apic->esr = apic->esr_pending;
		apic->esr_pending = 0;
		return;
	case R_ICR_LOW:
		apic->icr_low = val & 0x000CCFFF;
		send_ipi(apic);
		return;
	case R_ICR_HIGH: apic->icr_high = val & 0xFF000000; return;
	case R_INITIAL:
		apic->initial = val;
		timer_start(apic, now);
		return;
	case R_DIVIDE: timer_divide(apic, val, now); return;
	}
	if (offset >= R_LVT && offset <= R_LVT_ERROR && (offset & 15) == 0)
		write_lvt(apic, (offset - R_LVT) / 16, val);
	else if (offset != R_VERSION && offset != R_PPR && offset != R_APR && !(offset >= R_ISR && offset < R_ESR) &&
	    offset != R_CURRENT)
		error(apic, ESR_ILLEGAL_REGISTER);
}

/* Disabled by the MSR it forgets everything; only a reset, on the P6 family, enables it again - ours may. */
void lapic_set_base(struct lapic *apic, uint64_t msr)
{
	bool was = lapic_enabled(apic);

	if (was && !(msr & BASE_ENABLED))
		lapic_reset(apic);
	apic->base_msr = (msr & (0xFFFFFF000ull | BASE_ENABLED)) | BASE_BSP;
}
