#include <string.h>

#include "cli/options.h"
#include "tests/test.h"
#include "util/words.h"

static struct options o;
static struct error err;

static int parse(const char *first, ...)
{
	char *argv[16] = { (char *)"plex86" };
	int argc = 1;
	va_list ap;

	va_start(ap, first);
	for (const char *a = first; a; a = va_arg(ap, const char *))
		argv[argc++] = (char *)(uintptr_t)a;
	va_end(ap);
	err = (struct error){ 0 };
	options_free(&o);
	return options_parse(&o, argc, argv, &err);
}

TEST(words_of_a_list_are_found_whole)
{
	CHECK(word_in("usb vmport smm", "usb"));
	CHECK(word_in("usb vmport smm", "vmport"));
	CHECK(word_in("usb vmport smm", "smm"));
	CHECK(!word_in("usb vmport smm", "port"));
	CHECK(!word_in("usb vmport smm", "vm"));
	CHECK(!word_in("usb vmport smm", ""));
	CHECK(!word_in("", "usb"));
}

TEST(one_dash_or_two_and_a_value_after_a_space_or_an_equals_sign)
{
	CHECK_EQ(parse("run", "-kernel", "k", "--append=a b", "--memory", "64", NULL), 0);
	CHECK_STR(o.vm.boot.kernel, "k");
	CHECK_STR(o.vm.boot.append, "a b");
	CHECK_EQ(o.vm.ram_bytes, 64 << 20);
	CHECK_EQ(parse("-m", "1G", "k", NULL), 0);
	CHECK_STR(o.vm.boot.kernel, "k");
	CHECK_EQ(o.vm.ram_bytes, 1 << 30);
	CHECK_EQ(o.vm.serial[0].kind, CHARDEV_STDIO);
}

TEST(unknown_option_is_named_with_its_nearest_match)
{
	CHECK(parse("-kernal", "k", NULL) < 0);
	CHECK(strstr(err.text, "'-kernal'") != NULL);
	CHECK(strstr(err.text, "'-kernel'") != NULL);
	CHECK(parse("--no-rebot", NULL) < 0);
	CHECK(strstr(err.text, "'-no-reboot'") != NULL);
	CHECK(parse("-zzzzzzzzz", NULL) < 0);
	CHECK(strstr(err.text, "did you mean") == NULL);
}

TEST(impossible_memory_sizes_are_refused)
{
	CHECK(parse("-m", "0", "k", NULL) < 0);
	CHECK(strstr(err.text, "at least") != NULL);
	CHECK(parse("-m", "100T", "k", NULL) < 0);
	CHECK(strstr(err.text, "at most") != NULL);
	CHECK(parse("-m", "lots", "k", NULL) < 0);
	CHECK_EQ(parse("-m", "3G", "k", NULL), 0);
}

TEST(options_that_contradict_or_lack_something_are_refused)
{
	CHECK(parse(NULL, NULL) < 0);
	CHECK(strstr(err.text, "nothing to boot") != NULL);
	CHECK_EQ(parse("-bios", "rom.bin", NULL), 0);		/* a program in ROM needs no drive */
	CHECK_EQ(parse("-nic", "user", NULL), 0);		/* nor does one that boots over the network */
	CHECK(parse("-kernel", NULL) < 0);
	CHECK(parse("--flat", "0x1000", NULL) < 0);
	CHECK(parse("--flat", "0x1000", "p", "-kernel", "k", NULL) < 0);
	CHECK(parse("--flat", "here", "p", NULL) < 0);
	CHECK(parse("a", "b", NULL) < 0);
	CHECK(parse("k", "-serial", "stdio", "-serial", "stdio", NULL) < 0);
	CHECK(parse("k", "-serial", "tcp:1", NULL) < 0);
	CHECK(parse("k", "-device", "rtl8139", NULL) < 0);
	CHECK(parse("k", "--no-reboot=yes", NULL) < 0);
}

TEST(debug_exit_device_takes_qemus_properties)
{
	CHECK_EQ(parse("k", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", NULL), 0);
	CHECK_EQ(o.vm.debug_exit_port, 0xF4);
	CHECK_EQ(o.vm.debug_exit_size, 4);
	CHECK(parse("k", "-device", "isa-debug-exit,iobase=0x10000", NULL) < 0);
	CHECK(parse("k", "-device", "isa-debug-exit,colour=red", NULL) < 0);
}

TEST(serial_ports_are_taken_in_order)
{
	CHECK_EQ(parse("k", "-serial", "null", "-serial", "file:log", "-serial", "stdio", NULL), 0);
	CHECK_EQ(o.vm.serial[0].kind, CHARDEV_NULL);
	CHECK_EQ(o.vm.serial[1].kind, CHARDEV_FILE);
	CHECK_STR(o.vm.serial[1].path, "log");
	CHECK_EQ(o.vm.serial[2].kind, CHARDEV_STDIO);
}

TEST(options_of_tools_that_start_qemu_mean_what_they_mean_there)	/* [QEMU, "Invocation"] */
{
	CHECK_EQ(parse("k", "-machine", "pc-i440fx-7.2,accel=tcg,usb=off", "-accel", "tcg", "-smp", "1,sockets=1,cores=1", "-cpu", "host",
	    "-net", "none", NULL), 0);
	CHECK_EQ(parse("k", "-nic", "none", "-parallel", "none", "-no-user-config", "-monitor", "null", "-no-shutdown", NULL), 0);
	CHECK(o.vm.no_shutdown);
	CHECK(parse("k", "-machine", "q35", NULL) < 0);
	CHECK(strstr(err.text, "q35") != NULL);
	CHECK(parse("k", "-machine", "pc,usb=on", NULL) < 0);
	CHECK(parse("k", "-accel", "kvm", NULL) < 0);
	CHECK(parse("k", "-smp", "cpus=2", NULL) < 0);
}

TEST(options_of_the_network_put_a_card_on_it)	/* [QEMU, "Invocation"] */
{
	CHECK_EQ(parse("k", NULL), 0);
	CHECK(!o.vm.net.card);				/* none unless one is asked for */
	CHECK_EQ(parse("k", "-nic", "user,model=e1000,hostfwd=tcp:127.0.0.1:2222-:22,mac=52:54:00:01:02:03", NULL), 0);
	CHECK(o.vm.net.card && o.vm.net.user);
	CHECK_EQ(o.vm.net.mac[5], 3);
	CHECK_EQ(o.vm.net.at.nforwards, 1);
	CHECK_EQ(o.vm.net.at.forward[0].host.s_addr, htonl(0x7F000001));
	CHECK_EQ(o.vm.net.at.forward[0].host_port, 2222);
	CHECK_EQ(o.vm.net.at.forward[0].guest_port, 22);
	CHECK_EQ(parse("k", "-device", "e1000,netdev=n0,bootindex=2", "-netdev",
	    "user,id=n0,hostfwd=udp::69-10.0.2.9:70,restrict=on,net=10.0.2.0/24,dhcpstart=10.0.2.9,ipv6=off", NULL), 0);
	CHECK(o.vm.net.user && o.vm.net.at.restricted && o.vm.net.at.no_ipv6 && o.vm.net.at.forward[0].udp);
	CHECK_STR(o.vm.net.id, "n0");
	CHECK_EQ(o.vm.net.boot_rank, 3);
	CHECK_EQ(parse("k", "-net", "nic,model=e1000,macaddr=52:54:00:00:00:09", "-net", "user,hostname=box", NULL), 0);
	CHECK(o.vm.net.user && o.vm.net.mac[5] == 9);
	CHECK_EQ(parse("k", "-device", "e1000", NULL), 0);
	CHECK(o.vm.net.card && !o.vm.net.user);		/* its cable is out */
}

TEST(options_of_the_network_say_what_is_wrong)
{
	static const struct { const char *option, *arg, *word; } wrong[] = {
		{ "-nic", "tap,ifname=t", "user" }, { "-netdev", "bridge,id=a", "user" }, { "-net", "socket", "user" }, { "-netdev", "user", "id=" },
		{ "-netdev", "user,id=a", "no card" }, { "-nic", "user,model=rtl8139", "e1000" }, { "-nic", "user,mac=01:00:00:00:00:00", "group" },
		{ "-nic", "user,mac=52:54", "not an address" }, { "-nic", "user,hostfwd=tcp::x-:22", "HOSTPORT" }, { "-nic", "user,hostfwd=22", "HOSTPORT" },
		{ "-nic", "user,hostfwd=tcp::0-:22", "HOSTPORT" }, { "-nic", "user,hostfwd=sctp::1-:22", "HOSTPORT" }, { "-nic", "user,net=10.0.2.0/31", "net=" },
		{ "-nic", "user,net=10.0.3.0/24,dns=10.0.2.3", "must lie in" }, { "-nic", "user,ipv4=off,ipv6=off", "nothing" }, { "-nic", "user,smb=/", "cannot be had" },
		{ "-device", "e1000,netdev=b", "no -netdev" }, { "-device", "virtio-net-pci", "e1000" }, { "-device", "e1000,speed=1", "speed" },
		{ "-nic", "user,mac=-2:54:00:01:02:03", "not an address" }, { "-nic", "user,mac=52: 54:00:01:02:3", "not an address" },
		{ "-nic", "user,net=0.0.0.0/0", "no network's address" }, { "-nic", "user,net=0.1.0.0/8", "no network's address" },
		{ "-nic", "user,host=10.0.2.15", "must differ" }, { "-nic", "user,dns=10.0.2.2", "must differ" },
		{ "-nic", "user,net=10.1.0.0/16,dhcpstart=10.1.0.3", "must differ" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		CHECK(parse("k", wrong[i].option, wrong[i].arg, NULL) < 0);
		CHECK(strstr(err.text, wrong[i].word) != NULL);
	}
	CHECK(parse("k", "-nic", "user", "-nic", "user", NULL) < 0);
	CHECK(strstr(err.text, "one network card") != NULL);
}

TEST(clock_chip_starts_at_a_date_that_is_given)
{
	CHECK_EQ(parse("-localtime", "-hda", "a.img", NULL), 0);	/* as older makefiles say it */
	CHECK(o.vm.rtc_local);
	CHECK_EQ(parse("-startdate", "2006-06-17", "-hda", "a.img", NULL), 0);
	CHECK(o.vm.rtc_start_given);
	CHECK_EQ(parse("k", "-rtc", "base=2006-06-17T16:01:21,clock=host,driftfix=slew", NULL), 0);
	CHECK(o.vm.rtc_start_given);
	CHECK_EQ(o.vm.rtc_start_s, 1150560081);
	CHECK_EQ(parse("k", "-rtc", "base=2006-06-17", NULL), 0);
	CHECK_EQ(o.vm.rtc_start_s, 1150502400);
	CHECK_EQ(parse("k", "-rtc", "base=localtime", NULL), 0);
	CHECK(o.vm.rtc_local && !o.vm.rtc_start_given);
	CHECK(parse("k", "-rtc", "base=yesterday", NULL) < 0);
	CHECK(parse("k", "-rtc", "base=2006-06-17x", NULL) < 0);
	CHECK(parse("k", "-rtc", "clock=rt", NULL) < 0);
}

TEST(drive_without_an_interface_is_put_where_a_device_wants_it)
{
	CHECK_EQ(parse("-drive", "file=a.img,if=none,id=d0,format=raw", "-device", "ide-hd,drive=d0,bus=ide.1,unit=1,serial=S1", NULL), 0);
	CHECK_EQ(o.vm.drives.ide[3].kind, VM_DRIVE_DISK);
	CHECK_STR(o.vm.drives.ide[3].path, "a.img");
	CHECK_STR(o.vm.drives.ide[3].serial, "S1");
	CHECK_EQ(o.vm.drives.ide[0].kind, VM_DRIVE_NONE);
	CHECK_EQ(parse("-drive", "file=a.iso,if=none,id=c", "-device", "ide-cd,drive=c", NULL), 0);
	CHECK_EQ(o.vm.drives.ide[0].kind, VM_DRIVE_CDROM);
	CHECK(parse("-device", "ide-hd,drive=none", NULL) < 0);
	CHECK_EQ(parse("-drive", "file=a.img,if=none,id=d0", "-drive", "file=b.img,if=none,id=d1", "-device", "ide-hd,drive=d0,bus=ide.1",
	    "-device", "ide-hd,drive=d1,bus=ide.1", NULL), 0);
	CHECK_STR(o.vm.drives.ide[2].path, "a.img");
	CHECK_STR(o.vm.drives.ide[3].path, "b.img");
	CHECK_EQ(parse("-drive", "file=a.img", "-drive", "file=b.iso,media=cdrom", NULL), 0);	/* the first free place, of either kind */
	CHECK_EQ(o.vm.drives.ide[1].kind, VM_DRIVE_CDROM);
	CHECK_EQ(parse("-device", "ide-hd,drive=d,bus=ide.0,unit=1", "-drive", "file=a.img,if=none,id=d", NULL), 0);	/* in either order */
	CHECK_STR(o.vm.drives.ide[1].path, "a.img");
	CHECK(parse("-device", "ide-hd,drive=e", "-drive", "file=a.img,if=none,id=d", NULL) < 0);
	CHECK(parse("-drive", "file=a.img,if=none", NULL) < 0);
	CHECK(parse("-drive", "file=a.img,if=none,id=d", NULL) < 0);	/* nothing to boot */
	CHECK(parse("-drive", "file=a.img,if=none,id=d", "-device", "ide-hd,drive=d,colour=1", NULL) < 0);
	CHECK_EQ(parse("-drive", "file=a.img,if=none,id=d", "-device", "ide-hd,drive=d,bootindex=1", NULL), 0);
	CHECK_EQ(o.vm.drives.ide[0].boot_rank, 2);
}

TEST(what_is_done_about_the_hosts_errors_can_be_chosen_for_each_drive)
{
	CHECK_EQ(parse("-drive", "file=a.img,werror=report,rerror=stop", NULL), 0);
	CHECK_EQ(o.vm.drives.ide[0].write_error, BLOCK_REPORT);
	CHECK_EQ(o.vm.drives.ide[0].read_error, BLOCK_STOP);
	CHECK_EQ(parse("-drive", "file=a.img", NULL), 0);
	CHECK_EQ(o.vm.drives.ide[0].write_error, BLOCK_ENOSPC);
	CHECK(parse("-drive", "file=a.img,werror=maybe", NULL) < 0);
}

TEST(boot_order_once_is_of_the_first_start_only)
{
	CHECK_EQ(parse("-hda", "a", "-boot", "order=c,once=d", NULL), 0);
	CHECK_EQ(o.vm.boot_once[0], 3);
	CHECK_EQ(o.vm.boot_order[0], 2);
	CHECK_EQ(parse("-hda", "a", "-boot", "order=dc,menu=on,strict=on,reboot-timeout=0", NULL), 0);
	CHECK_EQ(o.vm.boot_order[0], 3);
	CHECK(o.vm.boot_menu && o.vm.boot_strict && o.vm.boot_retry_given);
}

TEST(one_of_several_accelerators_must_be_ours)
{
	CHECK_EQ(parse("k", "-machine", "pc,accel=kvm:tcg", NULL), 0);
	CHECK_EQ(parse("k", "-accel", "kvm", "-accel", "tcg,thread=multi", NULL), 0);
	CHECK(parse("k", "-accel", "kvm", NULL) < 0);
	CHECK(parse("k", "-machine", "accel=hax:whpx", NULL) < 0);
}

TEST(image_is_a_node_of_a_file_and_its_format)			/* [QEMU, "-blockdev"] */
{
	CHECK_EQ(parse("-blockdev", "driver=file,node-name=f,filename=a,,b.img,read-only=on", "-blockdev", "qcow2,node-name=q,file=f",
	    "-device", "ide-hd,drive=q", NULL), 0);
	CHECK_STR(o.vm.drives.ide[0].path, "a,b.img");
	CHECK_STR(o.vm.drives.ide[0].format, "qcow2");
	CHECK(o.vm.drives.ide[0].read_only);
	CHECK_EQ(parse("-blockdev", "driver=raw,node-name=d,file.driver=file,file.filename=x", "-device", "ide-cd,drive=d", NULL), 0);
	CHECK_EQ(o.vm.drives.ide[0].kind, VM_DRIVE_CDROM);
	CHECK(parse("-blockdev", "driver=nbd,node-name=n", NULL) < 0);
	CHECK(parse("-blockdev", "driver=raw,node-name=n,file=none", NULL) < 0);
}

TEST(debug_console_has_a_port_and_an_end)
{
	CHECK_EQ(parse("k", "-debugcon", "file:log", NULL), 0);
	CHECK_EQ(o.vm.debugcon_port, 0xE9);
	CHECK_EQ(o.vm.debugcon.kind, CHARDEV_FILE);
	CHECK_EQ(parse("k", "-global", "isa-debugcon.iobase=0x402", "-debugcon", "null", NULL), 0);
	CHECK_EQ(o.vm.debugcon_port, 0x402);
	CHECK_EQ(parse("k", "-chardev", "file,id=c,path=x", "-device", "isa-debugcon,chardev=c,iobase=0x402", NULL), 0);
	CHECK_STR(o.vm.debugcon.path, "x");
	CHECK_EQ(o.vm.debugcon_port, 0x402);
	CHECK_EQ(parse("k", "-global", "isa-debugcon.iobase=0x402", NULL), 0);
	CHECK_EQ(o.vm.debugcon_port, 0);		/* a property of what is not there */
}
