#include "meter/profile.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "host/signals.h"
#include "meter/table.h"
#include "meter/trace.h"
#include "scan/scan.h"

#define STACK_MAX	(1u << 20)	/* a chain of frames does not reach further */

#ifdef PLEX86_METERS

/* --- in the signal --- */

/* Is there a CALL in front of it? Near calls: E8 rel32; FF /2 with 0, 1 or 4 bytes of displacement, SIB or not. */
static bool is_return_address(struct vcpu *cpu, lin_t lin)
{
	static const uint8_t lengths[] = { 2, 3, 4, 6, 7 };
	uint8_t b[7];

	if (lin < 7 || report_peek(cpu, lin - 7, false, b, 7) != 7)
		return false;
	if (b[2] == 0xE8)
		return true;
	for (unsigned i = 0; i < sizeof(lengths); i++)
		if (b[7 - lengths[i]] == 0xFF && (b[8 - lengths[i]] >> 3 & 7) == 2)
			return true;
	return false;
}

static void walk_stack(struct vcpu *cpu, struct profile_sample *s, uint32_t ebp, uint32_t esp)
{
	uint32_t frame[2], base = cpu->seg[SEG_SS].base;

	if (!(cpu->cr0 & CR0_PE) || !(cpu->seg[SEG_CS].attr & SEG_DB))
		return;
	while (s->frames < PROFILE_FRAMES && (ebp & 3) == 0 && ebp - esp < STACK_MAX &&
	    report_peek(cpu, base + ebp, false, frame, 8) == 8) {
		if (!is_return_address(cpu, cpu->seg[SEG_CS].base + frame[1]))
			return;
		s->frame[s->frames++] = cpu->seg[SEG_CS].base + frame[1];
		if (frame[0] <= ebp)
			return;
		esp = ebp;
		ebp = frame[0];
	}
}

/* What is charged: the finer causes that the meters measure at some events only, too. */
static uint8_t cause_now(const struct vcpu *cpu, bool in_guest)
{
	const struct meters *m = &cpu->meters;

	if (in_guest)
		return cpu->cpl == 3 ? METER_RING3 : METER_RING0;
	if (m->in_device)
		return METER_DEVICE;
	if (m->doing)
		return m->doing;
	return m->cause <= METER_RING0 ? METER_EMULATE : m->cause;
}

static void record(struct profile *p, void *ucontext)
{
	struct vcpu *cpu = p->cpu;
	struct profile_sample *s = &p->ring[p->head & (PROFILE_RING - 1)];
	uint32_t eip = cpu->eip, ebp = cpu->gpr[REG_EBP], esp = cpu->gpr[REG_ESP];
	bool in_guest = scan_where(cpu, ucontext, &eip, &ebp, &esp);

	*s = (struct profile_sample){ .cpl = cpu->cpl, .cause = cause_now(cpu, in_guest) };
	/* In the monitor, at an instruction that it carries out. */
	if (!in_guest && s->cause != METER_IDLE && s->cause != METER_HOST && s->cause != METER_PAUSED)
		eip = cpu->insn_eip;
	s->address = cpu->seg[SEG_CS].base + eip;
	/* While a device or the loop may be changing the map of memory it is not looked at. */
	if (s->cause != METER_DEVICE && s->cause != METER_HOST)
		walk_stack(cpu, s, ebp, esp);
	__atomic_store_n(&p->head, p->head + 1, __ATOMIC_RELEASE);
}

void profile_signal(struct profile *p, void *ucontext)
{
	if (!p->running)
		return;
	if (p->head - p->tail < PROFILE_RING) {
		record(p, ucontext);
	} else if (++p->lost >= PROFILE_GIVE_UP) {	/* whoever asked is gone */
		p->running = false;
		timer_settime(p->timer, 0, &(struct itimerspec){ { 0 }, { 0 } }, NULL);
	}
}

/* --- on the vCPU's thread --- */

void profile_init(struct profile *p, struct vcpu *cpu)
{
	p->cpu = cpu;
	p->has_timer = host_timer_make(&p->timer, CLOCK_MONOTONIC, HOST_SAMPLE_SIGNAL) == 0;
}

void profile_free(struct profile *p)
{
	profile_stop(p);
	if (p->has_timer)
		timer_delete(p->timer);
	p->has_timer = false;
	if (p->ring)
		munmap(p->ring, PROFILE_RING * sizeof(*p->ring));
	p->ring = NULL;
}

int profile_start(struct profile *p, unsigned hz, struct error *err)
{
	struct itimerspec it = { 0 };

	if (p->running)
		return error_set(err, -EBUSY, "a profile is being taken already");
	if (hz == 0 || hz > PROFILE_HZ_MAX)
		return error_set(err, -EINVAL, "a profile takes 1 to %u samples a second", PROFILE_HZ_MAX);
	if (!p->has_timer)
		return error_set(err, -EAGAIN, "this host gave no timer for profiles");
	if (p->ring == NULL) {
		void *ring = mmap(NULL, PROFILE_RING * sizeof(*p->ring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (ring == MAP_FAILED)
			return error_set(err, -ENOMEM, "no memory for a profile");
		p->ring = ring;
	}
	p->head = p->tail = p->lost = 0;
	it.it_interval.tv_nsec = it.it_value.tv_nsec = hz == 1 ? 999999999 : 1000000000 / (long)hz;
	p->running = true;
	if (timer_settime(p->timer, 0, &it, NULL) < 0) {
		p->running = false;
		return error_set(err, -errno, "a timer for a profile: %s", strerror(errno));
	}
	return 0;
}

json_t *profile_read(struct profile *p, struct error *err)
{
	json_t *list = json_array();
	uint32_t head = __atomic_load_n(&p->head, __ATOMIC_ACQUIRE);

	if (!p->running) {
		json_decref(list);
		error_set(err, -ENOENT, "no profile is being taken");
		return NULL;
	}
	for (; p->tail != head; p->tail++) {
		const struct profile_sample *s = &p->ring[p->tail & (PROFILE_RING - 1)];
		json_t *one = json_pack("[I,i,s]", (json_int_t)s->address, s->cpl, meter_cause_names[s->cause]);

		for (unsigned i = 0; i < s->frames; i++)
			json_array_append_new(one, json_integer(s->frame[i]));
		json_array_append_new(list, one);
	}
	return json_pack("{s:i,s:o}", "lost", (int)p->lost, "samples", list);
}

void profile_stop(struct profile *p)
{
	if (p->running)
		timer_settime(p->timer, 0, &(struct itimerspec){ { 0 }, { 0 } }, NULL);
	p->running = false;
}

#else

void profile_init(struct profile *p, struct vcpu *cpu) { }
void profile_free(struct profile *p) { }
void profile_signal(struct profile *p, void *ucontext) { }
void profile_stop(struct profile *p) { }

int profile_start(struct profile *p, unsigned hz, struct error *err)
{
	return error_set(err, -ENOTSUP, "this plex86 was built without meters (-Dmeters=false)");
}

json_t *profile_read(struct profile *p, struct error *err)
{
	error_set(err, -ENOTSUP, "this plex86 was built without meters (-Dmeters=false)");
	return NULL;
}

#endif
