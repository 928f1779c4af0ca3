/* Integer workloads: what compilers, shells and databases do all day. */
#include "bench.h"

/* --- sieve of Eratosthenes up to 64 Ki, one operation a sieve --- */

static uint32_t run_sieve(uint32_t n)
{
	enum { SIZE = 65536 };
	static uint8_t composite[SIZE];
	uint32_t primes = 0;

	while (n--) {
		for (uint32_t i = 0; i < SIZE; i++)
			composite[i] = 0;
		primes = 0;
		for (uint32_t i = 2; i < SIZE; i++) {
			if (composite[i])
				continue;
			primes++;
			for (uint32_t j = i + i; j < SIZE; j += i)
				composite[j] = 1;
		}
		KEEP(primes);
	}
	return primes;
}

/* --- a mix like embedded benchmarks': list sort and search, small matrices, a state machine, CRC-16 --- */

struct node {
	struct node *next;
	int16_t key, data;
};

static struct node *list_merge(struct node *a, struct node *b)
{
	struct node head, *tail = &head;

	while (a && b) {
		if (a->key <= b->key) {
			tail = tail->next = a;
			a = a->next;
		} else {
			tail = tail->next = b;
			b = b->next;
		}
	}
	tail->next = a ? a : b;
	return head.next;
}

static struct node *list_sort(struct node *list)
{
	struct node *slow = list, *fast = list ? list->next : NULL, *second;

	if (!fast)
		return list;
	while (fast && fast->next) {
		slow = slow->next;
		fast = fast->next->next;
	}
	second = slow->next;
	slow->next = NULL;
	return list_merge(list_sort(list), list_sort(second));
}

static uint16_t crc16(uint16_t crc, uint16_t value)
{
	crc ^= value;
	for (int bit = 0; bit < 16; bit++)
		crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
	return crc;
}

/* Which of the texts is a number: -12, 3.5e+7, ... counted per final state. */
static void scan_numbers(const char *text, uint32_t counts[8])
{
	enum { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_DIGITS, INVALID } state = START;

	for (;; text++) {
		char c = *text;
		int digit = c >= '0' && c <= '9';

		if (c == ',' || !c) {
			counts[state]++;
			state = START;
			if (!c)
				return;
			continue;
		}
		switch (state) {
		case START: state = digit ? INTEGER : c == '-' || c == '+' ? SIGN : c == '.' ? POINT : INVALID; break;
		case SIGN: state = digit ? INTEGER : c == '.' ? POINT : INVALID; break;
		case INTEGER: state = digit ? INTEGER : c == '.' ? POINT : c == 'e' ? EXPONENT : INVALID; break;
		case POINT:
		case FRACTION: state = digit ? FRACTION : c == 'e' ? EXPONENT : INVALID; break;
		case EXPONENT: state = digit || c == '-' || c == '+' ? EXPONENT_DIGITS : INVALID; break;
		case EXPONENT_DIGITS: state = digit ? EXPONENT_DIGITS : INVALID; break;
		case INVALID: break;
		}
	}
}

static uint32_t run_mix(uint32_t n)
{
	enum { NODES = 60, SIDE = 9 };
	static struct node nodes[NODES];
	static int16_t a[SIDE][SIDE], b[SIDE][SIDE];
	static int32_t c[SIDE][SIDE];
	uint32_t seed = 1;
	uint16_t crc = 0xFFFF;

	for (uint32_t round = 0; round < n; round++) {
		uint32_t counts[8] = { 0 };
		struct node *list;

		for (int i = 0; i < NODES; i++) {
			nodes[i].key = random32(&seed);
			nodes[i].data = i;
			nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : NULL;
		}
		list = list_sort(nodes);
		for (; list; list = list->next)
			crc = crc16(crc, list->data);
		for (int i = 0; i < SIDE; i++) {
			for (int j = 0; j < SIDE; j++) {
				a[i][j] = crc + i * j;
				b[i][j] = crc - i + j;
			}
		}
		for (int i = 0; i < SIDE; i++) {
			for (int j = 0; j < SIDE; j++) {
				int32_t sum = 0;

				for (int k = 0; k < SIDE; k++)
					sum += a[i][k] * b[k][j];
				c[i][j] = sum >> 3;
			}
		}
		crc = crc16(crc, c[round % SIDE][4]);
		scan_numbers("5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,T0.3e-1F,-87e+832", counts);
		for (int i = 0; i < 8; i++)
			crc = crc16(crc, counts[i]);
	}
	return crc;
}

/* --- SHA-256 of a block of 4 KiB                                                   [FIPS 180-4] --- */

static const uint32_t sha_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t ror(uint32_t x, int by)
{
	return x >> by | x << (32 - by);
}

static void sha_block(uint32_t h[8], const uint32_t block[16])
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = __builtin_bswap32(block[i]);
	for (int i = 16; i < 64; i++) {
		uint32_t s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (int i = 0; i < 8; i++)
		v[i] = h[i];
	for (int i = 0; i < 64; i++) {
		uint32_t s1 = ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25);
		uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha_k[i] + w[i];
		uint32_t s0 = ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22);
		uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1;
		v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

static uint32_t run_sha256(uint32_t n)
{
	static uint32_t data[1024];
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	for (uint32_t i = 0; i < 1024; i++)
		data[i] = i * 2654435761u;
	while (n--) {
		for (int i = 0; i < 1024; i += 16)
			sha_block(h, data + i);
	}
	return h[0] ^ h[7];
}

/* --- LZ: pack 16 KiB with a hash table of 3-byte strings, unpack, compare --- */

enum { LZ_SIZE = 16384 };

static uint32_t lz_pack(const uint8_t *in, uint8_t *out)
{
	static uint16_t last[4096];
	uint32_t at = 0, used = 0, literal_at = 0;

	for (int i = 0; i < 4096; i++)
		last[i] = 0;
	while (at + 4 < LZ_SIZE) {
		uint32_t hash = (in[at] * 506832829u ^ in[at + 1] * 2654435761u ^ in[at + 2] * 40503u) >> 20;
		uint32_t from = last[hash], length = 0;

		last[hash] = at;
		while (from < at && at + length < LZ_SIZE && length < 255 && in[from + length] == in[at + length])
			length++;
		if (length < 4) {
			at++;
			continue;
		}
		while (literal_at < at) {	/* a run of literals: its length, its bytes */
			uint32_t run = at - literal_at > 127 ? 127 : at - literal_at;

			out[used++] = run;
			while (run--)
				out[used++] = in[literal_at++];
		}
		out[used++] = 128;		/* a match: mark, length, distance */
		out[used++] = length;
		out[used++] = (at - from) >> 8;
		out[used++] = at - from;
		at += length;
		literal_at = at;
	}
	while (literal_at < LZ_SIZE) {
		uint32_t run = LZ_SIZE - literal_at > 127 ? 127 : LZ_SIZE - literal_at;

		out[used++] = run;
		while (run--)
			out[used++] = in[literal_at++];
	}
	return used;
}

static void lz_unpack(const uint8_t *in, uint32_t size, uint8_t *out)
{
	const uint8_t *end = in + size;

	while (in < end) {
		if (*in == 128) {
			uint32_t length = in[1], distance = in[2] << 8 | in[3];

			for (in += 4; length--; out++)
				*out = *(out - distance);
		} else {
			uint32_t run = *in++;

			while (run--)
				*out++ = *in++;
		}
	}
}

static uint32_t run_lz(uint32_t n)
{
	static uint8_t plain[LZ_SIZE], packed[LZ_SIZE * 2], back[LZ_SIZE];
	static const char words[8][8] = { "window ", "guest ", "page ", "scan ", "block ", "fault ", "table ", "memory " };
	uint32_t seed = 7, used = 0;

	for (uint32_t at = 0; at < LZ_SIZE;) {
		for (const char *w = words[random32(&seed) >> 29]; *w && at < LZ_SIZE; w++)
			plain[at++] = *w;
		if (random32(&seed) >> 30 == 0 && at < LZ_SIZE)
			plain[at++] = random32(&seed);
	}
	while (n--) {
		used = lz_pack(plain, packed);
		lz_unpack(packed, used, back);
		for (int i = 0; i < LZ_SIZE; i++) {
			if (plain[i] != back[i])
				die("lz: what was unpacked is not what was packed");
		}
	}
	return used;
}

/* --- quicksort of 4096 numbers, comparing through a function pointer --- */

static int compare_up(const uint32_t *a, const uint32_t *b)
{
	return *a < *b ? -1 : *a > *b;
}

static int compare_down(const uint32_t *a, const uint32_t *b)
{
	return *a > *b ? -1 : *a < *b;
}

static void quicksort(uint32_t *v, int low, int high, int (*compare)(const uint32_t *, const uint32_t *))
{
	while (low < high) {
		uint32_t pivot = v[(low + high) / 2], swap;
		int i = low, j = high;

		while (i <= j) {
			while (compare(&v[i], &pivot) < 0)
				i++;
			while (compare(&v[j], &pivot) > 0)
				j--;
			if (i <= j) {
				swap = v[i], v[i] = v[j], v[j] = swap;
				i++, j--;
			}
		}
		if (j - low < high - i) {	/* the smaller half by recursion: the stack stays small */
			quicksort(v, low, j, compare);
			low = i;
		} else {
			quicksort(v, i, high, compare);
			high = j;
		}
	}
}

static uint32_t run_quicksort(uint32_t n)
{
	enum { COUNT = 4096 };
	static uint32_t v[COUNT];
	int (*volatile compare[2])(const uint32_t *, const uint32_t *) = { compare_up, compare_down };
	uint32_t seed = 3, sum = 0;

	for (uint32_t round = 0; round < n; round++) {
		for (int i = 0; i < COUNT; i++)
			v[i] = random32(&seed);
		quicksort(v, 0, COUNT - 1, compare[round & 1]);
		sum = sum * 31 + v[COUNT / 3];
	}
	return sum;
}

/* --- recursion: fib(20), 21891 calls --- */

__attribute__((noinline)) static uint32_t fib(uint32_t n)
{
	uint32_t a, b;

	if (n < 2)
		return n;
	a = fib(n - 1);
	b = fib(n - 2);
	KEEP(b);		/* or the compiler makes a loop of the second call */
	return a + b;
}

static uint32_t run_fib(uint32_t n)
{
	uint32_t sum = 0;

	while (n--) {
		uint32_t of = 20;

		KEEP(of);
		sum += fib(of);
	}
	return sum;
}

/* --- an interpreter with computed goto; one operation is a loop of 1000 rounds of 8 byte codes --- */

static uint32_t interpret(const uint8_t *code, uint32_t rounds)
{
	static const void *const labels[] = { &&load, &&add, &&xor, &&shift, &&store, &&skip_odd, &&multiply, &&loop };
	uint32_t acc = 1, memory[16] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };
	const uint8_t *pc = code;

#define NEXT	goto *labels[*pc++]
	NEXT;
load:
	acc += memory[*pc++ & 15];
	NEXT;
add:
	acc += *pc++;
	NEXT;
xor:
	acc ^= memory[*pc++ & 15];
	NEXT;
shift:
	acc = acc << 3 | acc >> 29;
	NEXT;
store:
	memory[*pc++ & 15] = acc;
	NEXT;
skip_odd:
	pc += acc & 1 ? 2 : 0;
	NEXT;
multiply:
	acc *= *pc++;
	NEXT;
loop:
	if (!--rounds)
		return acc;
	pc = code;
	NEXT;
#undef NEXT
}

static uint32_t run_interpreter(uint32_t n)
{
	static const uint8_t code[] = { 0, 3, 2, 5, 3, 5, 1, 77, 4, 2, 6, 13, 0, 9, 4, 3, 5, 6, 3, 2, 1, 3, 7 };
	uint32_t sum = 0;

	while (n--)
		sum = sum * 31 + interpret(code, 1000);
	return sum;
}

/* --- bignum: 2048-bit square by schoolbook, multiply and add with carry --- */

static uint32_t run_bignum(uint32_t n)
{
	enum { LIMBS = 64 };
	static uint32_t a[LIMBS], product[2 * LIMBS];
	uint32_t seed = 11;

	for (int i = 0; i < LIMBS; i++)
		a[i] = random32(&seed);
	while (n--) {
		for (int i = 0; i < 2 * LIMBS; i++)
			product[i] = 0;
		for (int i = 0; i < LIMBS; i++) {
			uint32_t carry = 0;

			for (int j = 0; j < LIMBS; j++) {
				uint64_t t = (uint64_t)a[i] * a[j] + product[i + j] + carry;

				product[i + j] = t;
				carry = t >> 32;
			}
			product[i + LIMBS] = carry;
		}
		for (int i = 0; i < LIMBS; i++)
			a[i] = product[i + 32] | 1;
	}
	return a[0] ^ a[LIMBS - 1];
}

const struct workload int_workloads[] = {
	{ "mix", run_mix, 100, 0, 0 },
	{ "sieve", run_sieve, 1, 0, 0 },
	{ "sha256", run_sha256, 8, 4096, 0 },
	{ "lz", run_lz, 1, LZ_SIZE, 0 },
	{ "quicksort", run_quicksort, 2, 0, 4096 },
	{ "fib", run_fib, 1, 0, 21891 },
	{ "interpreter", run_interpreter, 10, 0, 8000 },
	{ "bignum", run_bignum, 10, 0, 0 },
	{ .name = NULL },
};
