#include <string.h>

#include "dev/fw_cfg.h"
#include "tests/test.h"

static uint8_t ram[8192];

static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len) { memcpy(buf, ram + gpa, len); }
static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len) { memcpy(ram + gpa, buf, len); }

static void setup(struct fw_cfg *fw)
{
	fw_cfg_init(fw);
	fw->mem_read = mem_read;
	fw->mem_write = mem_write;
	fw_cfg_add_number(fw, FW_CFG_NB_CPUS, 1, 2);
	fw_cfg_add_file(fw, "etc/one", "hello", 5);
	fw_cfg_add_file(fw, "etc/two", "abc", 3);
}

static void dma(struct fw_cfg *fw, uint32_t control, uint32_t len, uint32_t to)
{
	uint32_t desc[4] = { __builtin_bswap32(control), __builtin_bswap32(len), 0, __builtin_bswap32(to) };

	memcpy(ram + 256, desc, 16);
	fw_cfg_write(fw, 4, 4, 0);
	fw_cfg_write(fw, 8, 4, __builtin_bswap32(256));
}

TEST(fw_cfg_signature_is_read_byte_by_byte)
{
	struct fw_cfg fw;
	setup(&fw);
	fw_cfg_write(&fw, 0, 2, FW_CFG_SIGNATURE);
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 'Q');
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 'E');
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 'M');
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 'U');
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 0);
	fw_cfg_write(&fw, 0, 2, 0x7777);
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 0);
	CHECK_EQ(fw_cfg_read(&fw, 4, 4), 0x554D4551);		/* "QEMU": there is a DMA interface */
}

TEST(fw_cfg_directory_lists_files_big_endian)
{
	struct fw_cfg fw;
	uint8_t d[132];
	setup(&fw);
	fw_cfg_write(&fw, 0, 2, FW_CFG_FILE_DIR);
	for (unsigned i = 0; i < sizeof(d); i++)
		d[i] = fw_cfg_read(&fw, 1, 1);
	assert_memory_equal(d, "\0\0\0\2" "\0\0\0\5" "\0\x20" "\0\0" "etc/one", 20);
	assert_memory_equal(d + 68, "\0\0\0\3" "\0\x21" "\0\0" "etc/two", 16);
}

TEST(fw_cfg_dma_selects_and_reads_in_one_go)
{
	struct fw_cfg fw;
	setup(&fw);
	memset(ram, 0xEE, sizeof(ram));
	dma(&fw, 0x20 << 16 | 8 | 2, 7, 1024);
	assert_memory_equal(ram + 1024, "hello\0\0\xEE", 8);
	assert_memory_equal(ram + 256, "\0\0\0\0", 4);
}

TEST(fw_cfg_dma_skips_and_refuses_writes)
{
	struct fw_cfg fw;
	setup(&fw);
	dma(&fw, 0x20 << 16 | 8 | 4, 3, 0);
	CHECK_EQ(fw_cfg_read(&fw, 1, 1), 'l');
	dma(&fw, 16, 1, 0);
	CHECK_EQ(ram[259], 1);
}
