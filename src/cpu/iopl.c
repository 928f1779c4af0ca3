/*
 * Who may use which I/O port.				[SDM 1, "I/O Privilege Level", "I/O Permission Bit Map"]
 */
#include "cpu/descriptor.h"

/*
 * The processor always reads two bytes of the bitmap, so the last port of a full map needs one
 * byte more, of all ones. In vm86 mode IOPL says nothing, only the bitmap does.
 */
bool cpu_io_allowed(struct vcpu *cpu, uint16_t port, unsigned size)
{
	uint32_t off;

	if (!cpu_protected(cpu) || (!cpu_vm86(cpu) && cpu->cpl <= cpu_iopl(cpu)))
		return true;
	if (!(cpu->tr.attr & TYPE_32BIT) || cpu->tr.limit < 0x67)
		return false;
	off = table_read16(cpu, cpu->tr.base + 0x66) + port / 8u;
	if (off + 1 > cpu->tr.limit)
		return false;
	return !(table_read16(cpu, cpu->tr.base + off) >> (port & 7) & ((1u << size) - 1));
}
