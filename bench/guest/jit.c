/* Code that writes code, as a just-in-time compiler does. The page is readable, writable and executable. */
#include "bench.h"

static uint8_t *code_page(void)
{
	static uint8_t *page;

	if (!page)
		page = map(4096, 7, MAP_ANON_PRIVATE, -1);
	return page;
}

/* mov $imm, %eax; ret: the immediate is rewritten before each call. */
static uint32_t run_patch(uint32_t n)
{
	uint8_t *code = code_page();
	uint32_t (*volatile call)(void) = (void *)code;
	uint32_t sum = 0;

	code[0] = 0xB8;
	code[5] = 0xC3;
	for (uint32_t i = 0; i < n; i++) {
		*(volatile uint32_t *)(code + 1) = i * 3;
		sum += call();
	}
	return sum;
}

/* Data beside code in the same page: no byte that is executed ever changes. */
static uint32_t run_data_in_code_page(uint32_t n)
{
	uint8_t *code = code_page();
	volatile uint32_t *data = (void *)(code + 2048);
	uint32_t (*volatile call)(void) = (void *)code;
	uint32_t sum = 0;

	code[0] = 0xA1;				/* mov data, %eax; ret */
	*(uint32_t *)(code + 1) = (uint32_t)data;
	code[5] = 0xC3;
	for (uint32_t i = 0; i < n; i++) {
		*data = i * 5;
		sum += call();
	}
	return sum;
}

/* 64 instructions of 3 to 5 bytes, another choice each time, run four times. */
static uint32_t run_emit(uint32_t n)
{
	uint8_t *code = code_page();
	uint32_t (*volatile call)(uint32_t) = (void *)code;
	uint32_t sum = 0;

	for (uint32_t round = 0; round < n; round++) {
		uint8_t *p = code;
		uint32_t choice = round * 2654435761u;

		*p++ = 0x8B, *p++ = 0x44, *p++ = 0x24, *p++ = 0x04;	/* mov 4(%esp), %eax */
		for (int i = 0; i < 62; i++) {
			switch (choice >> (i & 31) & 3) {
			case 0:				/* add $imm32, %eax */
				*p++ = 0x05;
				*(uint32_t *)p = choice + i;
				p += 4;
				break;
			case 1:				/* rol $imm8, %eax */
				*p++ = 0xC1, *p++ = 0xC0, *p++ = (i & 30) + 1;
				break;
			case 2:				/* xor $imm32, %eax */
				*p++ = 0x35;
				*(uint32_t *)p = choice ^ i;
				p += 4;
				break;
			default:			/* imul $imm8, %eax, %eax */
				*p++ = 0x6B, *p++ = 0xC0, *p++ = i | 1;
				break;
			}
		}
		*p = 0xC3;
		for (uint32_t i = 0; i < 4; i++)
			sum += call(i);
	}
	return sum;
}

const struct workload jit_workloads[] = {
	{ "jit_patch", run_patch, 100, 0, 0 },
	{ "jit_data", run_data_in_code_page, 100, 0, 0 },
	{ "jit_emit", run_emit, 10, 0, 0 },
	{ .name = NULL },
};
