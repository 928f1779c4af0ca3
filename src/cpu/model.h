/*
 * Which processor CPUID says this is: an older one hides what it did not have. Nothing is taken away: what is hidden
 * would still run.
 */
#ifndef PLEX86_CPU_MODEL_H
#define PLEX86_CPU_MODEL_H

#include <stdio.h>

#include "util/types.h"

struct cpu_model {			/* all 0: the processor as it is */
	uint32_t signature;		/* leaf 1, EAX; 0: ours */
	uint32_t hidden;		/* of leaf 1, EDX */
	uint8_t leaves;			/* the highest; 0: as many as there are */
	bool no_extended, no_nx;
	bool limited;			/* IA32_MISC_ENABLE limits the leaves, which a system may take back */
};

/* "NAME[,+FEATURE][,-FEATURE]...", as QEMU has them. false: *wrong is the word that cannot be had. */
bool cpu_model_parse(struct cpu_model *model, const char *text, char wrong[64]);
void cpu_model_list(FILE *f);

#endif
