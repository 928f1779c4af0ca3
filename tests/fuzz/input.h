/*
 * Bytes for a target that makes accesses of them: the input's, and once it is used up as many again as the target likes, from its checksum,
 * so that a short input is a long run too.
 */
#ifndef PLEX86_TESTS_FUZZ_INPUT_H
#define PLEX86_TESTS_FUZZ_INPUT_H

#include "util/types.h"

struct fuzz_input {
	const uint8_t *data;
	size_t size, more;
	uint64_t random;
};

static inline struct fuzz_input fuzz_input(const uint8_t *data, size_t size, size_t more)
{
	return (struct fuzz_input){ data, size, more, 14695981039346656037u };
}

static inline bool fuzz_input_left(const struct fuzz_input *in)
{
	return in->size > 0 || in->more > 0;
}

static inline uint8_t fuzz_next(struct fuzz_input *in)
{
	if (in->size > 0) {
		in->size--;
		in->random = (in->random ^ *in->data) * 1099511628211u;
		return *in->data++;
	}
	if (in->more > 0)
		in->more--;
	in->random = in->random * 6364136223846793005u + 1442695040888963407u;
	return (uint8_t)(in->random >> 56);
}

static inline uint32_t fuzz_next32(struct fuzz_input *in)
{
	uint32_t v = fuzz_next(in);

	v |= (uint32_t)fuzz_next(in) << 8;
	v |= (uint32_t)fuzz_next(in) << 16;
	return v | (uint32_t)fuzz_next(in) << 24;
}

#endif
