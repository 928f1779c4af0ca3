/* Memory: bandwidth in buffers of 256 KiB (cache, not DRAM), and latency by chasing pointers. */
#include "bench.h"

enum { BUFFER = 256 * 1024 };

static uint8_t from[BUFFER] __attribute__((aligned(64))), to[BUFFER] __attribute__((aligned(64)));

typedef long long vector __attribute__((vector_size(16)));

static uint32_t fold(const uint8_t *p)
{
	const uint32_t *w = (const uint32_t *)p;
	uint32_t sum = 0;

	for (int i = 0; i < BUFFER / 4; i += 97)
		sum = sum * 31 + w[i];
	return sum;
}

static void fill(uint8_t *p, uint32_t seed)
{
	uint32_t *w = (uint32_t *)p;

	for (int i = 0; i < BUFFER / 4; i++)
		w[i] = random32(&seed);
}

/* What a C library does for these sizes: 16 bytes an instruction, four at a time. */
__attribute__((target("sse2"))) static uint32_t run_memcpy(uint32_t n)
{
	fill(from, 5);
	while (n--) {
		const vector *s = (const vector *)from;
		vector *d = (vector *)to;

		for (int i = 0; i < BUFFER / 16; i += 4) {
			vector a = s[i], b = s[i + 1], c = s[i + 2], e = s[i + 3];

			d[i] = a, d[i + 1] = b, d[i + 2] = c, d[i + 3] = e;
		}
		KEEP(d);
	}
	return fold(to);
}

__attribute__((target("sse2"))) static uint32_t run_memset(uint32_t n)
{
	vector value = { 0x0102030405060708, 0x1112131415161718 };

	while (n--) {
		vector *d = (vector *)to;

		for (int i = 0; i < BUFFER / 16; i += 4)
			d[i] = value, d[i + 1] = value, d[i + 2] = value, d[i + 3] = value;
		KEEP(d);
	}
	return fold(to);
}

static uint32_t run_rep_movsd(uint32_t n)
{
	fill(from, 6);
	while (n--) {
		const uint8_t *s = from;
		uint8_t *d = to;
		uint32_t count = BUFFER / 4;

		__asm__ volatile("rep movsl" : "+S"(s), "+D"(d), "+c"(count) : : "memory");
	}
	return fold(to);
}

static uint32_t run_rep_stosd(uint32_t n)
{
	while (n--) {
		uint8_t *d = to;
		uint32_t count = BUFFER / 4;

		__asm__ volatile("rep stosl" : "+D"(d), "+c"(count) : "a"(0x87654321) : "memory");
	}
	return fold(to);
}

/* One cycle through all cells (Sattolo's shuffle); one operation is 1000 steps. */
static uint32_t chase(uint32_t **cells, uint32_t n)
{
	uint32_t *p = cells[0];

	for (uint32_t i = 0; i < n * 1000; i++)
		p = (uint32_t *)*p;
	return (p - cells[0]);
}

static uint32_t *chase_make(uint32_t size_bytes)
{
	uint32_t count = size_bytes / 4, seed = 9, *cell = map(size_bytes, 3, MAP_POPULATED, -1);

	for (uint32_t i = 0; i < count; i++)
		cell[i] = (uint32_t)&cell[i];
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = random32(&seed) % i, swap = cell[i];

		cell[i] = cell[j];
		cell[j] = swap;
	}
	return cell;
}

static uint32_t run_chase_16k(uint32_t n)
{
	static uint32_t *cell;

	if (!cell)
		cell = chase_make(16 * 1024);
	return chase(&cell, n);
}

static uint32_t run_chase_64m(uint32_t n)
{
	static uint32_t *cell;

	if (!cell)
		cell = chase_make(64 * 1024 * 1024);
	return chase(&cell, n);
}

const struct workload mem_workloads[] = {
	{ "memcpy", run_memcpy, 1, BUFFER, 0 },
	{ "memset", run_memset, 1, BUFFER, 0 },
	{ "rep_movsd", run_rep_movsd, 1, BUFFER, 0 },
	{ "rep_stosd", run_rep_stosd, 1, BUFFER, 0 },
	{ "chase_16k", run_chase_16k, 10, 0, 1000 },
	{ "chase_64m", run_chase_64m, 10, 0, 1000 },
	{ .name = NULL },
};
