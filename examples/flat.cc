// flat.c once more, in C++: the machine as an object, callbacks as lambdas.
//
// c++ flat.cc -o flat $(pkg-config --cflags --libs plex86)
#include <plex86.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

int main(int argc, char **argv)
{
	const std::uint64_t load = 0x100000, memory = 16 << 20;
	std::ifstream file(argc > 1 ? argv[1] : "", std::ios::binary);
	std::vector<char> program((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
	auto config = PLEX86_SIZED(plex86_config);
	auto stop = PLEX86_SIZED(plex86_stop);
	plex86 *made = nullptr;
	char why[128] = "";

	config.engine = PLEX86_SCAN;
	if (program.empty() || plex86_create(&made, &config, why, sizeof(why)) != PLEX86_OK) {
		std::fprintf(stderr, "usage: flat PROGRAM  %s\n", why);
		return 2;
	}
	std::unique_ptr<plex86, void (*)(plex86 *)> m(made, plex86_destroy);
	plex86_map(m.get(), 0, memory, 0, nullptr);
	plex86_write(m.get(), load, program.data(), program.size());
	plex86_on_port(m.get(), 0x3F8, 0x3FF,
	    [](void *, plex86 *, std::uint32_t, std::uint32_t, std::uint32_t *value) -> int {
		*value = 0x60;
		return PLEX86_CONTINUE;
	    },
	    [](void *, plex86 *, std::uint32_t port, std::uint32_t, std::uint32_t value) -> int {
		if (port == 0x3F8)
			std::putchar(static_cast<int>(value));
		return PLEX86_CONTINUE;
	    }, nullptr);
	plex86_set(m.get(), PLEX86_EIP, load);
	plex86_set(m.get(), PLEX86_ESP, load);
	plex86_run(m.get(), 0, 0, &stop);
	return stop.reason == PLEX86_STOP_HALT ? 0 : 1;
}
