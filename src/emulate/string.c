/*
 * MOVS STOS LODS CMPS SCAS INS OUTS, with REP.				[SDM 2, "REP"; SDM 1, "String Operations"]
 *
 * Registers are brought up to date after every element, so a fault or an interrupt in the middle
 * finds (E)CX, (E)SI and (E)DI exact and the instruction goes on from there. A REP instruction
 * does at most a chunk of elements, then leaves EIP at itself. Each element counts as one
 * instruction in icount, however it was done: in bulk, or one at a time.
 *
 * CMPS and SCAS set flags only when the repetition ends: "when a page fault occurs during CMPS or
 * SCAS instructions that are prefixed with REPNE, the EFLAGS value is restored"; the host CPU does
 * so for any fault, interrupt or trap in the middle.
 *
 * Bulk: as many elements as lie in one page of directly reachable memory on each side, inside the
 * segments' limits and short of the address wrap. Everything else (MMIO, code pages, watched
 * pages, an element across a page border) goes one by one.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

enum {
	REP_CHUNK	= 4096,
	BULK_MIN	= 4,		/* below this the set-up costs more than it saves */
};

static inline uint32_t address(const struct vcpu *cpu, const struct insn *in, unsigned reg)
{
	return in->adsize == 2 ? (uint16_t)cpu->gpr[reg] : cpu->gpr[reg];
}

static inline void advance(struct vcpu *cpu, const struct insn *in, unsigned reg, uint32_t delta)
{
	if (in->adsize == 2)
		reg_write16(cpu, reg, (uint16_t)(cpu->gpr[reg] + delta));
	else
		cpu->gpr[reg] += delta;
}

/* What n elements add to SI and DI. */
static inline uint32_t stride(const struct vcpu *cpu, const struct insn *in, uint32_t n)
{
	uint32_t bytes = n * in->opnd[0].size;

	return cpu->eflags & EFLAGS_DF ? -bytes : bytes;
}

static inline uint32_t load(struct vcpu *cpu, unsigned seg, uint32_t off, unsigned size)
{
	return size == 1 ? mem_read8(cpu, seg, off) : size == 2 ? mem_read16(cpu, seg, off) : mem_read32(cpu, seg, off);
}

static inline void store(struct vcpu *cpu, uint32_t off, unsigned size, uint32_t v)
{
	if (size == 1)
		mem_write8(cpu, SEG_ES, off, (uint8_t)v);
	else if (size == 2)
		mem_write16(cpu, SEG_ES, off, (uint16_t)v);
	else
		mem_write32(cpu, SEG_ES, off, v);
}

static inline uint32_t peek(const uint8_t *p, unsigned size)
{
	uint16_t w;
	uint32_t d;

	if (size == 1)
		return *p;
	if (size == 2) {
		memcpy(&w, p, 2);
		return w;
	}
	memcpy(&d, p, 4);
	return d;
}

static void compare(struct vcpu *cpu, unsigned size, uint32_t a, uint32_t b)
{
	uint32_t ax;

	if (size == 1)
		__asm__("cmpb %b[b], %b[a]" FLAGS_SAVE : "=&a" (ax) : [a] "q" (a), [b] "q" (b) : "cc");
	else if (size == 2)
		__asm__("cmpw %w[b], %w[a]" FLAGS_SAVE : "=&a" (ax) : [a] "r" (a), [b] "r" (b) : "cc");
	else
		__asm__("cmpl %[b], %[a]" FLAGS_SAVE : "=&a" (ax) : [a] "r" (a), [b] "r" (b) : "cc");
	flags_set(cpu, ax);
}

/* What was compared last: flags are made of it when the instruction is finished. */
struct compared {
	uint32_t a, b;
};

/* --- runs --- */

/* Elements from off on, in the direction of DF, that a bulk operation may touch: at most max. */
static uint32_t run_length(const struct vcpu *cpu, const struct insn *in, unsigned seg, uint32_t off, bool write, uint32_t max)
{
	const struct segment *s = &cpu->seg[seg];
	uint64_t top = write ? s->write_top : s->read_top;
	uint32_t size = in->opnd[0].size, in_page = (s->base + off) & PAGE_MASK;
	uint64_t bytes;

	if (off + (uint64_t)size > top || in_page + size > PAGE_BYTES)
		return 0;
	if (cpu->eflags & EFLAGS_DF) {
		bytes = (uint64_t)MIN(in_page, off) + size;
	} else {
		bytes = MIN(top - off, (uint64_t)(PAGE_BYTES - in_page));
		if (in->adsize == 2)
			bytes = MIN(bytes, (uint64_t)(0x10000 - off));
	}
	return (uint32_t)MIN(bytes / size, (uint64_t)max);
}

static uint8_t *host_at(struct vcpu *cpu, unsigned seg, uint32_t off, enum access kind)
{
	return mmu_host(cpu, cpu->seg[seg].base + off, kind, cpu->cpl == 3);
}

/*
 * n elements from s to d as a loop of single moves does it: with an overlap, the bytes just stored
 * are read again. memmove is the same only if the destination runs behind the source.
 */
static void copy_elements(uint8_t *d, const uint8_t *s, uint32_t n, unsigned size, bool down)
{
	size_t len = (size_t)n * size;

	if (down) {
		const uint8_t *s0 = s - (len - size);
		uint8_t *d0 = d - (len - size);
		if (d0 >= s0 || d0 + len <= s0) {
			memmove(d0, s0, len);
			return;
		}
	} else if (d <= s || d >= s + len) {
		memmove(d, s, len);
		return;
	}
	ptrdiff_t step = down ? -(ptrdiff_t)size : (ptrdiff_t)size;
	for (; n > 0; n--, s += step, d += step) {
		uint32_t v = peek(s, size);
		memcpy(d, &v, size);
	}
}

/* --- bulk: each returns how many elements it did; 0: do one the slow way --- */

typedef uint32_t bulk_fn(struct vcpu *cpu, const struct insn *in, uint32_t max, struct compared *last);
typedef void one_fn(struct vcpu *cpu, const struct insn *in, struct compared *last);

static uint32_t bulk_movs(struct vcpu *cpu, const struct insn *in, uint32_t max, struct compared *last)
{
	uint32_t si = address(cpu, in, REG_ESI), di = address(cpu, in, REG_EDI);
	uint32_t n = run_length(cpu, in, in->seg, si, false, max);

	n = run_length(cpu, in, SEG_ES, di, true, n);
	if (n < BULK_MIN)
		return 0;
	const uint8_t *s = host_at(cpu, in->seg, si, ACCESS_READ);
	uint8_t *d = host_at(cpu, SEG_ES, di, ACCESS_WRITE);
	if (!s || !d)
		return 0;
	copy_elements(d, s, n, in->opnd[0].size, cpu->eflags & EFLAGS_DF);
	advance(cpu, in, REG_ESI, stride(cpu, in, n));
	advance(cpu, in, REG_EDI, stride(cpu, in, n));
	return n;
}

static uint32_t bulk_stos(struct vcpu *cpu, const struct insn *in, uint32_t max, struct compared *last)
{
	uint32_t di = address(cpu, in, REG_EDI), size = in->opnd[0].size, v = cpu->gpr[REG_EAX];
	uint32_t n = run_length(cpu, in, SEG_ES, di, true, max);

	if (n < BULK_MIN)
		return 0;
	uint8_t *d = host_at(cpu, SEG_ES, di, ACCESS_WRITE);
	if (!d)
		return 0;
	if (cpu->eflags & EFLAGS_DF)
		d -= (n - 1) * size;
	if (size == 1) {
		memset(d, (int)v, n);
	} else if (size == 2) {
		for (uint32_t i = 0; i < n; i++)
			memcpy(d + i * 2, &v, 2);
	} else {
		for (uint32_t i = 0; i < n; i++)
			memcpy(d + i * 4, &v, 4);
	}
	advance(cpu, in, REG_EDI, stride(cpu, in, n));
	return n;
}

static inline void set_accumulator(struct vcpu *cpu, unsigned size, uint32_t v)
{
	if (size == 1)
		reg_write8(cpu, REG_AL, (uint8_t)v);
	else if (size == 2)
		reg_write16(cpu, REG_EAX, (uint16_t)v);
	else
		cpu->gpr[REG_EAX] = v;
}

static uint32_t bulk_lods(struct vcpu *cpu, const struct insn *in, uint32_t max, struct compared *last)
{
	uint32_t si = address(cpu, in, REG_ESI), n = run_length(cpu, in, in->seg, si, false, max);

	if (n < BULK_MIN)
		return 0;
	const uint8_t *s = host_at(cpu, in->seg, si, ACCESS_READ);
	if (!s)
		return 0;
	set_accumulator(cpu, in->opnd[0].size, peek(s + (int32_t)stride(cpu, in, n - 1), in->opnd[0].size));
	advance(cpu, in, REG_ESI, stride(cpu, in, n));
	return n;
}

static inline uint32_t accumulator(const struct vcpu *cpu, unsigned size)
{
	return size == 4 ? cpu->gpr[REG_EAX] : cpu->gpr[REG_EAX] & (size == 2 ? 0xFFFF : 0xFF);
}

/* Does the repetition go on after this comparison? */
static inline bool goes_on(const struct insn *in, const struct compared *last)
{
	return (last->a == last->b) == !(in->prefix & PREFIX_REPNE);
}

static uint32_t bulk_scas(struct vcpu *cpu, const struct insn *in, uint32_t max, struct compared *last)
{
	uint32_t di = address(cpu, in, REG_EDI), size = in->opnd[0].size, done = 0;
	uint32_t n = run_length(cpu, in, SEG_ES, di, false, max);

	if (n < BULK_MIN)
		return 0;
	const uint8_t *d = host_at(cpu, SEG_ES, di, ACCESS_READ);
	if (!d)
		return 0;
	int32_t step = (int32_t)stride(cpu, in, 1);
	last->a = accumulator(cpu, size);
	do {
		last->b = peek(d, size);
		d += step;
		done++;
	} while (done < n && goes_on(in, last));
	advance(cpu, in, REG_EDI, stride(cpu, in, done));
	return done;
}

static uint32_t bulk_cmps(struct vcpu *cpu, const struct insn *in, uint32_t max, struct compared *last)
{
	uint32_t si = address(cpu, in, REG_ESI), di = address(cpu, in, REG_EDI);
	uint32_t size = in->opnd[0].size, done = 0;
	uint32_t n = run_length(cpu, in, in->seg, si, false, max);

	n = run_length(cpu, in, SEG_ES, di, false, n);
	if (n < BULK_MIN)
		return 0;
	const uint8_t *d = host_at(cpu, SEG_ES, di, ACCESS_READ), *s = host_at(cpu, in->seg, si, ACCESS_READ);
	if (!s || !d)
		return 0;
	int32_t step = (int32_t)stride(cpu, in, 1);
	do {
		last->a = peek(s, size);
		last->b = peek(d, size);
		s += step;
		d += step;
		done++;
	} while (done < n && goes_on(in, last));
	advance(cpu, in, REG_ESI, stride(cpu, in, done));
	advance(cpu, in, REG_EDI, stride(cpu, in, done));
	return done;
}

/* --- one element --- */

static void one_movs(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	unsigned size = in->opnd[0].size;

	store(cpu, address(cpu, in, REG_EDI), size, load(cpu, in->seg, address(cpu, in, REG_ESI), size));
	advance(cpu, in, REG_ESI, stride(cpu, in, 1));
	advance(cpu, in, REG_EDI, stride(cpu, in, 1));
}

static void one_stos(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	store(cpu, address(cpu, in, REG_EDI), in->opnd[0].size, cpu->gpr[REG_EAX]);
	advance(cpu, in, REG_EDI, stride(cpu, in, 1));
}

static void one_lods(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	unsigned size = in->opnd[0].size;

	set_accumulator(cpu, size, load(cpu, in->seg, address(cpu, in, REG_ESI), size));
	advance(cpu, in, REG_ESI, stride(cpu, in, 1));
}

static void one_scas(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	unsigned size = in->opnd[0].size;

	*last = (struct compared){ accumulator(cpu, size), load(cpu, SEG_ES, address(cpu, in, REG_EDI), size) };
	advance(cpu, in, REG_EDI, stride(cpu, in, 1));
}

static void one_cmps(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	unsigned size = in->opnd[0].size;

	last->b = load(cpu, SEG_ES, address(cpu, in, REG_EDI), size);	/* first, as the host does */
	last->a = load(cpu, in->seg, address(cpu, in, REG_ESI), size);
	advance(cpu, in, REG_ESI, stride(cpu, in, 1));
	advance(cpu, in, REG_EDI, stride(cpu, in, 1));
}

static void check_port(struct vcpu *cpu, unsigned size)
{
	if (!cpu_io_allowed(cpu, reg_read16(cpu, REG_EDX), size))
		cpu_raise(cpu, EXC_GP, 0);
}

/* The port is read only when nothing can fault any more: reading it may change the device. */
static void one_ins(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	unsigned size = in->opnd[0].size;
	uint16_t port = reg_read16(cpu, REG_EDX);
	uint32_t di = address(cpu, in, REG_EDI);

	mem_rmw(cpu, SEG_ES, di, size);
	store(cpu, di, size, cpu->bus->io_read(cpu->bus_arg, port, size));
	cpu_io_breakpoint(cpu, port, size);
	advance(cpu, in, REG_EDI, stride(cpu, in, 1));
}

static void one_outs(struct vcpu *cpu, const struct insn *in, struct compared *last)
{
	unsigned size = in->opnd[0].size;
	uint16_t port = reg_read16(cpu, REG_EDX);

	cpu->bus->io_write(cpu->bus_arg, port, size, load(cpu, in->seg, address(cpu, in, REG_ESI), size));
	cpu_io_breakpoint(cpu, port, size);
	advance(cpu, in, REG_ESI, stride(cpu, in, 1));
}

/* --- REP --- */

static uint32_t chunk(const struct vcpu *cpu, uint32_t count)
{
	uint32_t n = MIN(count, (uint32_t)REP_CHUNK);

	if (cpu->eflags & EFLAGS_TF)		/* the trap comes after each element */
		return 1;
	if (cpu->icount < cpu->icount_stop)
		n = (uint32_t)MIN((uint64_t)n, cpu->icount_stop - cpu->icount);
	return n;
}

/*
 * To be continued: not retired, so RF keeps an instruction breakpoint on it from firing again, but
 * single-stepping traps after each element.
 */
static void unfinished(struct vcpu *cpu)
{
	cpu->eip = cpu->insn_eip;
	cpu->eflags |= EFLAGS_RF;
	cpu->check_icount = cpu->icount + 1;
	METER_ADD(cpu, unfinished, 1);
	if (cpu->eflags & EFLAGS_TF)
		cpu_debug_trap(cpu, DR6_BS);
}

static inline void repeat(struct vcpu *cpu, const struct insn *in, one_fn *one, bulk_fn *bulk, bool compares)
{
	struct compared last = { 0, 0 };

	if (!(in->prefix & (PREFIX_REP | PREFIX_REPNE))) {
		one(cpu, in, &last);
		if (compares)
			compare(cpu, in->opnd[0].size, last.a, last.b);
		return;
	}
	uint32_t count = address(cpu, in, REG_ECX);
	if (count == 0)
		return;
	uint32_t left = chunk(cpu, count);
	bool on = true;
	do {
		uint32_t n = bulk ? bulk(cpu, in, left, &last) : 0;
		if (n == 0) {
			one(cpu, in, &last);
			n = 1;
		}
		advance(cpu, in, REG_ECX, -n);
		cpu->icount += n;
		METER_ADD(cpu, rep_elements, n);
		left -= n;
		count -= n;
		if (compares)
			on = goes_on(in, &last);
	} while (left > 0 && on && !cpu_attention(cpu));
	cpu->icount--;				/* the run loop counts the last one */
	METER_ADD(cpu, rep_elements, -1);
	if (count > 0 && on) {
		unfinished(cpu);
		return;
	}
	cpu->eflags &= ~(uint32_t)EFLAGS_RF;
	if (compares)
		compare(cpu, in->opnd[0].size, last.a, last.b);
}

void exec_MOVS(struct vcpu *cpu, const struct insn *in) { repeat(cpu, in, one_movs, bulk_movs, false); }
void exec_STOS(struct vcpu *cpu, const struct insn *in) { repeat(cpu, in, one_stos, bulk_stos, false); }
void exec_LODS(struct vcpu *cpu, const struct insn *in) { repeat(cpu, in, one_lods, bulk_lods, false); }
void exec_CMPS(struct vcpu *cpu, const struct insn *in) { repeat(cpu, in, one_cmps, bulk_cmps, true); }
void exec_SCAS(struct vcpu *cpu, const struct insn *in) { repeat(cpu, in, one_scas, bulk_scas, true); }

/* The right to the port is checked even if (E)CX is 0. */
void exec_INS(struct vcpu *cpu, const struct insn *in)
{
	check_port(cpu, in->opnd[0].size);
	repeat(cpu, in, one_ins, NULL, false);
}

void exec_OUTS(struct vcpu *cpu, const struct insn *in)
{
	check_port(cpu, in->opnd[0].size);
	repeat(cpu, in, one_outs, NULL, false);
}
