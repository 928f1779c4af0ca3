/* Stops the user asked for: --virtualize and --protect-code. The report is made where the run ends. */
#include "emulate/emulate.h"
#include "scan/trap.h"
#include "vm.h"

void scan_trap(struct vcpu *cpu, const struct insn *in)
{
	cpu->eip = cpu->insn_eip;
	vm_stop(cpu->vm, STOP_TRAP, "the guest reached a virtualized instruction (--virtualize)");
}

void scan_trap_access(struct vcpu *cpu)
{
	vm_stop(cpu->vm, STOP_TRAP, "the guest accessed a page that code runs from (--protect-code)");
}
