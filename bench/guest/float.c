/*
 * Floating point, compiled twice: FP is x87 (-mfpmath=387) or sse2 (-mfpmath=sse -msse2).
 * The results of the two differ in the last bits; those of two systems must not.
 */
#include "bench.h"

#define PASTE2(a, b)	a##_##b
#define PASTE(a, b)	PASTE2(a, b)
#define TEXT2(a)	#a
#define TEXT(a)		TEXT2(a)

static uint32_t fold_double(double x)
{
	union { double d; uint32_t w[2]; } u = { .d = x };

	return u.w[0] ^ u.w[1];
}

/* --- five bodies under gravity, one operation a step of all of them --- */

static uint32_t run_nbody(uint32_t n)
{
	enum { BODIES = 5 };
	double x[BODIES][3], v[BODIES][3], mass[BODIES] = { 39.5, 0.04, 0.01, 0.002, 0.002 };

	for (int i = 0; i < BODIES; i++) {
		for (int k = 0; k < 3; k++) {
			x[i][k] = i * (4.8 + k) - k * 1.3;
			v[i][k] = (k - 1) * 0.6 + i * 0.25;
		}
	}
	while (n--) {
		for (int i = 0; i < BODIES; i++) {
			for (int j = i + 1; j < BODIES; j++) {
				double d[3], square = 0.01, magnitude;

				for (int k = 0; k < 3; k++) {
					d[k] = x[i][k] - x[j][k];
					square += d[k] * d[k];
				}
				magnitude = 0.001 / (square * __builtin_sqrt(square));
				for (int k = 0; k < 3; k++) {
					v[i][k] -= d[k] * mass[j] * magnitude;
					v[j][k] += d[k] * mass[i] * magnitude;
				}
			}
		}
		for (int i = 0; i < BODIES; i++) {
			for (int k = 0; k < 3; k++)
				x[i][k] += 0.001 * v[i][k];
		}
	}
	return fold_double(x[0][0]) ^ fold_double(v[3][2]);
}

/* --- 48 x 48 matrices, one operation a product: 110592 multiply-adds --- */

static uint32_t run_matmul(uint32_t n)
{
	enum { SIDE = 48 };
	static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = (i * 7 + j * 3) % 11 - 5;
			b[i][j] = 1.0 / (1 + i + j);
		}
	}
	while (n--) {
		for (int i = 0; i < SIDE; i++) {
			for (int j = 0; j < SIDE; j++)
				c[i][j] = 0;
			for (int k = 0; k < SIDE; k++) {
				double f = a[i][k];

				for (int j = 0; j < SIDE; j++)
					c[i][j] += f * b[k][j];
			}
		}
		a[0][n % SIDE] = c[5][7];
	}
	return fold_double(c[0][0]) ^ fold_double(c[47][31]);
}

const struct workload PASTE(PASTE(fp, FP), workloads)[] = {
	{ "nbody_" TEXT(FP), run_nbody, 100, 0, 0 },
	{ "matmul_" TEXT(FP), run_matmul, 2, 0, 110592 },
	{ .name = NULL },
};
