#include "cpu/machine.h"
#include "cpu/tsc.h"

/* A host at 2.9 GHz, a board's counter that stands at ns. What scanned code reads at a host time, as it computes it. */
#define HOST_KHZ 2900000ull

static uint64_t cycles_at(uint64_t ns) { return 123456789 + ns * HOST_KHZ / 1000000; }

static uint64_t read_at(struct tsc_line *l, uint64_t ns, uint64_t board)
{
	uint64_t h = cycles_at(ns);

	return h - l->host < l->limit[0] ? ((h - l->host) * l->mult >> 32) + l->guest : tsc_line_draw(l, h, board, true);
}

/* From one time to another, a reading each step; the board runs ppm millionths fast. */
static void follow(struct tsc_line *l, uint64_t *last, uint64_t from, uint64_t to, uint64_t step, int64_t ppm, uint64_t error)
{
	for (uint64_t ns = from; ns < to; ns += step) {
		uint64_t board = ns + (uint64_t)((int64_t)ns * ppm / 1000000), t = read_at(l, ns, board);

		CHECK(t >= *last);
		CHECK((t > board ? t - board : board - t) <= error);
		*last = t;
	}
}

TEST(the_line_follows_the_boards_counter_and_never_goes_back)
{
	struct tsc_line l = { .wanted = true };
	uint64_t last = 0;

	follow(&l, &last, 0, 50000000, 977, 0, 50);
	CHECK(l.limit[0] != 0);
	follow(&l, &last, 50000000, 3000000000, 9973, 0, 5);
}

TEST(a_clock_that_is_slewed_is_followed)
{
	struct tsc_line l = { .wanted = true };
	uint64_t last = 0;

	follow(&l, &last, 0, 2000000000, 9973, 0, 50);
	l.true_guest += 1;			/* whatever: the next stretch has another slope */
	for (uint64_t ns = 2000000000; ns < 4000000000; ns += 9973) {
		uint64_t board = ns + (ns - 2000000000) / 2000, t = read_at(&l, ns, board);	/* 500 ppm, the most adjtime() does */

		CHECK(t >= last);
		CHECK((t > board ? t - board : board - t) <= 1500);
		last = t;
	}
}

TEST(a_board_that_stood_still_is_not_run_past_for_long)
{
	struct tsc_line l = { .wanted = true };
	uint64_t last = 0;

	follow(&l, &last, 0, 20000000, 977, 0, 50);
	uint64_t stood = 20000000;
	for (uint64_t ns = 20000000; ns < 60000000; ns += 977) {	/* paused for 20 ms */
		uint64_t board = ns < 40000000 ? stood : ns - 20000000, t = read_at(&l, ns, board);

		CHECK(t >= last);
		CHECK(t <= board + 2 * TSC_LINE_CYCLES * 1000000 / HOST_KHZ);
		last = t;
	}
	CHECK(last <= 40000000 + 1000 && last >= 40000000 - 1000);
}

TEST(a_board_that_is_put_forward_and_stands_still_is_followed_at_once)
{
	struct tsc_line l = { .wanted = true };
	uint64_t last = 0, ahead = 0;

	follow(&l, &last, 0, 20000000, 977, 0, 50);
	for (uint64_t ns = 20000000; ns < 400000000; ns += 977) {
		if (ns % 5 == 0 && ahead < 2000000) {	/* by 237 us */
			tsc_line_skip(&l, 237000);
			ahead += 237000;
		} else if (ahead >= 2000000) {		/* it stands for all of it but 100 us, of 2.1 ms */
			uint64_t slept = 2100000, paid = MIN(ahead, 2000000);
			tsc_line_stand(&l, (cycles_at(ns + slept) - cycles_at(ns)) * paid / slept);
			ns += slept;
			ahead -= paid;
		}
		uint64_t board = ns + ahead, t = read_at(&l, ns, board);

		CHECK(t >= last);
		CHECK((t > board ? t - board : board - t) <= 100);
		CHECK(l.limit[0] != 0);
		last = t;
	}
}

TEST(a_host_counter_that_jumps_is_no_measure)
{
	struct tsc_line l = { .wanted = true };
	uint64_t last = 0, board = 0;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t h = 1000000000 + i * 2900ull - (i > 100000 ? 900000000 : 0), t;

		board = i * 1000ull;
		t = h - l.host < l.limit[0] ? ((h - l.host) * l.mult >> 32) + l.guest : tsc_line_draw(&l, h, board, true);
		CHECK(t >= last);
		CHECK(t <= board + 3000000);
		last = t;
	}
	CHECK(last >= board - 1000 && last <= board + 1000);
}

TEST(the_line_is_not_for_cpl_3_where_tsd_is_set)
{
	struct tsc_line l = { .wanted = true };

	for (uint64_t ns = 0; ns < 10000000; ns += 1000)
		tsc_line_draw(&l, cycles_at(ns), ns, false);
	CHECK(l.limit[0] != 0);
	CHECK_EQ(l.limit[1], 0);
}

TEST(what_is_written_to_the_counter_is_where_it_goes_on_from_even_if_the_line_ran_ahead)
{
	enum { IA32_TIME_STAMP_COUNTER = 0x10, AHEAD = 5000 };
	struct machine *m = machine_new();

	m->tsc = 1000000;
	m->cpu.tsc_line = (struct tsc_line){ .wanted = true, .guest = cpu_tsc(&m->cpu) + AHEAD };
	CHECK(cpu_tsc(&m->cpu) >= AHEAD);
	cpu_wrmsr(&m->cpu, IA32_TIME_STAMP_COUNTER, 0);
	CHECK_EQ(cpu_tsc(&m->cpu), 0);
	m->cpu.tsc_line = (struct tsc_line){ .wanted = true, .guest = AHEAD };
	cpu_reset(&m->cpu);
	CHECK_EQ(cpu_tsc(&m->cpu), 0);
	machine_free(m);
}
