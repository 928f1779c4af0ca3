/*
 * The emitted-code verifier must reject planted bad code, and pass the good code it is made from.
 * Each piece is assembled here, for 64-bit mode. r13's fields are given by offset.
 */
#include <stdlib.h>
#include <string.h>

#include "scan/verify.h"
#include "tests/test.h"

static enum leads to_stub(const void *arg, uint64_t target) 
{
	return target == 0x7000 ? LEADS_BACK : target == 0x7100 ? LEADS_FILL : target == 0x7200 ? LEADS_AWAY : LEADS_NOWHERE;
}
static bool is_table(const void *arg, uint64_t imm) { return imm == 0x123456789000; }

/* NULL if the code passes, else the verifier's words. */
static const char *verdict(const uint8_t *code, const uint8_t *end, bool esp_pointer)
{
	static const uint32_t entry[] = { 0 };
	struct verifier v = { 0 };
	struct verify_finding f = { 0 };
	struct verify_code c = { .bytes = code, .len = (size_t)(end - code), .at = 0x10000, .entry = entry, .nentries = 1,
		.leads_to = to_stub, .is_table = is_table, .esp_pointer = esp_pointer };

	CHECK_EQ(verify_init(&v), 0);
	bool ok = verify_code(&v, &c, &f);
	CHECK_EQ(v.totals.violations, !ok);
	verify_free(&v);
	return ok ? NULL : f.what;
}

/* The end of all pieces: a jump to the stub. Pieces run at 0x10000. */
#define OUT(label) "\n .byte 0xE9; .long 0x7000 - (0x10000 + (. + 4 - code_" label "))\n"

#define CODE(name, text)									\
	__asm__(".pushsection .rodata; .globl code_" #name "\n code_" #name ":\n" text OUT(#name)	\
	    "code_" #name "_end: .globl code_" #name "_end; .popsection");			\
	extern const uint8_t code_##name[], code_##name##_end[];

#define ACCEPTED(name, text) ACCEPTED_IN(name, false, text)
#define ACCEPTED_IN(name, esp_pointer, text)						\
	CODE(name, text)								\
	TEST(name)									\
	{										\
		const char *what = verdict(code_##name, code_##name##_end, esp_pointer);	\
		if (what)								\
			fail_msg("%s", what);						\
	}
#define REJECTED(name, why, text) REJECTED_IN(name, false, why, text)
#define REJECTED_IN(name, esp_pointer, why, text)					\
	CODE(name, text)								\
	TEST(name)									\
	{										\
		const char *what = verdict(code_##name, code_##name##_end, esp_pointer);	\
		CHECK(what != NULL);							\
		CHECK_STR(what, why);							\
	}

#define XSTR(x) #x
#define STR(x) XSTR(x)
#define WRITE_TABLE "0x800000"
#define CODE_TABLE "0x1000000"
_Static_assert(TLB_WRITE_OFFSET == 0x800000 && TLB_CODE_OFFSET == 0x1000000, "as in the texts below");
_Static_assert(offsetof(struct vcpu, gpr) == 0, "as in the texts below");

/* A checked access in its parts: 4 bytes at r11d; the operand is (%r10,%r11). */
#define ADDRESS "lea 0x10(%rax,%rcx,2), %r11d\n"
#define ALIGNED "test $3, %r11b; jnz 8f\n"
#define LOOKUP(table) "mov %r11d, %r10d; shr $12, %r10d; mov " table "(%r12,%r10,8), %r10\n"
#define HIT "test %r10, %r10; jz 9f\n"
#define AROUND "jmp 7f; 8: lea 3(%r11), %r10d; xor %r11d, %r10d; test $0xfffff000, %r10d; jz 1b; 9: mov $5, %r10d\n"
#define LAST "7:"

ACCEPTED(verify_passes_a_checked_store,
	ADDRESS ALIGNED "1:" LOOKUP(WRITE_TABLE) HIT "mov %edx, (%r10,%r11)\n" AROUND LAST)
ACCEPTED(verify_passes_a_checked_load_with_parked_flags,
	ADDRESS "mov %rax, %r8; lahf; seto %al\n" ALIGNED "1:" LOOKUP("") HIT "add $127, %al; sahf; mov %r8, %rax; mov (%r10,%r11), %edx\n"
	AROUND "add $127, %al; sahf; mov %r8, %rax\n" LAST)
ACCEPTED(verify_passes_window_accesses,
	"mov %gs:8(%eax,%ecx,4), %edx; mov %edx, %gs:-4(%r15d); mov 0x1234(%r14,%rbx), %esi; movzbl 0x1234(%r14,%rbx,8), %esi; fldl %gs:(%edi); movups (%r14,%rsi), %xmm1\n")
ACCEPTED(verify_passes_state_and_code_table,
	"andl $0xfffffbff, " STR(40) "(%r13); cmpl $77, " CODE_TABLE "+64(%r12); jnz 7f; nop\n" LAST)
ACCEPTED(verify_passes_calls_and_returns,
	".byte 0xE8; .long 0x7000 - (0x10000 + (. + 4 - code_verify_passes_calls_and_returns)); cmp $0x1234, %r11d; jnz 7f\n"
	"mov %gs:(%r15d), %r11d; lea 4(%r15), %r15d; ret\n" LAST)

#define CALL(target, name) ".byte 0xE8; .long " target " - (0x10000 + (. + 4 - code_" #name "))\n"
#define HASH "movzwl %r11w, %r10d; movabs $0x123456789000, %r9\n"

ACCEPTED_IN(verify_passes_esp_as_a_host_address, true,
	"movl $5, -4(%r15); lea -4(%r15), %r15; mov 4(%r15), %eax; mov %r15d, %ecx; lea 8(%r15), %ebx; mov %gs:(%r15d,%eax), %edx\n"
	"sub $8, %r15d; lea (%r14,%r15), %r15\n")
ACCEPTED(verify_passes_strings_in_the_window,
	"lea (%r14,%rsi), %rsi; lea (%r14,%rdi), %rdi; rep movsl; mov %esi, %esi; mov %edi, %edi\n"
	"lea (%r14,%rdi), %rdi; repne scasb; mov %edi, %edi; lea (%r14,%rsi), %rsi; lodsw; mov %esi, %esi\n")
ACCEPTED(verify_passes_a_jump_through_the_hash,
	"mov %eax, %r11d\n" HASH "jmp *(%r9,%r10,8)\n")
ACCEPTED(verify_passes_the_short_way_out_of_a_miss,
	ADDRESS ALIGNED "1:" LOOKUP(WRITE_TABLE) HIT "2: mov %edx, (%r10,%r11)\n jmp 7f; 8: lea 3(%r11), %r10d; xor %r11d, %r10d\n"
	"test $0xfffff000, %r10d; jz 1b; jmp 7f; 9: mov $5, %r10d\n" CALL("0x7100", verify_passes_the_short_way_out_of_a_miss)
	"test %r10, %r10; jnz 2b\n" LAST)
REJECTED(verify_rejects_a_fill_for_another_kind, "a store through the read table",
	ADDRESS ALIGNED "1:" LOOKUP(WRITE_TABLE) HIT "2: mov %edx, (%r10,%r11)\n jmp 7f; 8: lea 3(%r11), %r10d; xor %r11d, %r10d\n"
	"test $0xfffff000, %r10d; jz 1b; jmp 7f; 9: mov $4, %r10d\n" CALL("0x7100", verify_rejects_a_fill_for_another_kind)
	"test %r10, %r10; jz 7f; mov %edx, (%r10,%r11)\n" LAST)
REJECTED(verify_rejects_a_fill_without_a_site, "a TLB fill without a site or an address",
	ADDRESS "mov %eax, %r10d\n" CALL("0x7100", verify_rejects_a_fill_without_a_site))
REJECTED(verify_rejects_code_behind_a_call_that_goes_elsewhere, "a value that may be a host address",
	CALL("0x7000", verify_rejects_code_behind_a_call_that_goes_elsewhere) "mov %r8d, %eax")
REJECTED_IN(verify_rejects_leaving_with_a_cut_esp, true, "leaves the block with a guest register in disorder",
	"sub $8, %r15d")
REJECTED_IN(verify_rejects_esp_far_from_where_it_was, true, "a value that may be a host address",
	"lea 0x40000000(%r15), %r15")
REJECTED_IN(verify_rejects_esps_upper_half_as_a_value, true, "a value that may be a host address", "mov %r15, %r9")
REJECTED_IN(verify_rejects_adding_to_esps_host_address, true, "a value that may be a host address", "add %rax, %r15")
REJECTED(verify_rejects_a_string_on_plain_registers, "a memory operand of no allowed form", "rep stosl")
REJECTED(verify_rejects_leaving_with_a_string_pointer, "leaves the block with a guest register in disorder",
	"lea (%r14,%rsi), %rsi; lodsb")
REJECTED(verify_rejects_64_bit_strings, "an instruction scanned code has no use for",
	"lea (%r14,%rsi), %rsi; lodsq; mov %esi, %esi")
REJECTED(verify_rejects_a_jump_by_a_wide_index, "the hash of branch targets by another index than an EIP's",
	"mov %eax, %r10d; movabs $0x123456789000, %r9; jmp *8(%r9,%r10,8)")
REJECTED(verify_rejects_a_jump_between_entries, "the hash of branch targets by another index than an EIP's",
	"mov %eax, %r11d\n" HASH "jmp *8(%r9,%r10,8)\n")
REJECTED(verify_rejects_a_table_it_does_not_know, "more than 32 bits written to a guest register",
	"movabs $0x123456789008, %rax")
REJECTED(verify_rejects_a_store_to_the_hash, "the hash of branch targets as data",
	"mov %eax, %r11d\n" HASH "mov %eax, (%r9,%r10,8)\n")

REJECTED(verify_rejects_a_system_call, "an instruction scanned code has no use for", "syscall")
REJECTED(verify_rejects_sysenter, "an instruction scanned code has no use for", "sysenter")
REJECTED(verify_rejects_a_software_interrupt, "an instruction scanned code has no use for", "int $0x80")
REJECTED(verify_rejects_a_breakpoint, "an instruction scanned code has no use for", "int3")
REJECTED(verify_rejects_a_new_gs_base, "an instruction scanned code has no use for", "wrgsbase %rax")
REJECTED(verify_rejects_a_new_fs_base, "an instruction scanned code has no use for", "wrfsbase %rax")
REJECTED(verify_rejects_protection_keys, "an instruction scanned code has no use for", "wrpkru")
REJECTED(verify_rejects_xrstor, "an instruction scanned code has no use for", "xrstor (%r13)")
REJECTED(verify_rejects_fxsave, "an instruction scanned code has no use for", "fxsave (%r13)")
REJECTED(verify_rejects_cpuid, "an instruction scanned code has no use for", "cpuid")
REJECTED(verify_rejects_rdpmc, "an instruction scanned code has no use for", "rdpmc")
REJECTED(verify_rejects_port_input, "an instruction scanned code has no use for", "inb %dx, %al")
REJECTED(verify_rejects_a_string_instruction, "a memory operand of no allowed form", "rep movsb")
REJECTED(verify_rejects_push, "an instruction scanned code has no use for", "push %rax")
REJECTED(verify_rejects_the_hosts_direction_flag, "an instruction scanned code has no use for", "std")
REJECTED(verify_rejects_wide_vectors, "an instruction scanned code has no use for", "vmovups %ymm1, %ymm2")
REJECTED(verify_rejects_a_segment_load, "a segment, control or debug register", "mov %eax, %fs")
REJECTED(verify_rejects_a_control_register, "a segment, control or debug register", "mov %cr3, %rax")
REJECTED(verify_rejects_an_indirect_jump, "an indirect or far branch outside the stubs", "mov %eax, %r11d; jmp *%r11")
REJECTED(verify_rejects_an_indirect_call, "an indirect or far branch outside the stubs", "call *%rax")
REJECTED(verify_rejects_a_jump_through_memory, "a load from a field of struct vcpu that is not scanned code's", "jmp *0x7f0(%r13)")
REJECTED(verify_rejects_a_return_that_pops, "another RET than the plain one", "mov %eax, %r11d; ret $8")
REJECTED(verify_rejects_a_far_return, "another RET than the plain one", "mov %eax, %r11d; lret")
REJECTED(verify_rejects_a_return_without_a_target, "a return without its target in r11d", "ret")
REJECTED(verify_rejects_a_branch_to_elsewhere, "a branch to no block and no stub", ".byte 0xE9; .long 0x55555")
REJECTED(verify_rejects_a_branch_into_an_instruction, "control flow into the middle of an instruction, or past the end",
	".byte 0xEB, 1; mov $0x90909090, %eax")
REJECTED(verify_rejects_a_write_to_the_return_stack_pointer, "one of the monitor's registers", "add $8, %rsp")
REJECTED(verify_rejects_a_write_to_the_tlb_base, "one of the monitor's registers", "lea 8(%r12), %r12")
REJECTED(verify_rejects_a_write_to_the_state_base, "one of the monitor's registers", "mov %rax, %r13")
REJECTED(verify_rejects_a_write_to_the_window_base, "one of the monitor's registers", "xchg %eax, %r14d")
REJECTED(verify_rejects_a_host_address_in_a_guest_register, "one of the monitor's registers", "mov %r13d, %eax")
REJECTED(verify_rejects_a_host_address_by_lea, "one of the monitor's registers as a value", "lea 4(%r14), %eax")
REJECTED(verify_rejects_a_64_bit_guest_register, "more than 32 bits written to a guest register", "add %rcx, %rax")
REJECTED(verify_rejects_a_64_bit_stack_pointer, "more than 32 bits written to a guest register", "lea -4(%r15), %r15")
REJECTED(verify_rejects_a_leftover_scratch_register, "a value that may be a host address", "mov %r9d, %eax")
REJECTED(verify_rejects_a_leaked_table_entry, "a value that may be a host address",
	ADDRESS LOOKUP("") "mov %r10d, %edx")
REJECTED(verify_rejects_an_absolute_address, "a memory operand of no allowed form", "mov 0x12345, %eax")
REJECTED(verify_rejects_a_rip_relative_address, "a memory operand of no allowed form", "mov 0x12345(%rip), %eax")
REJECTED(verify_rejects_a_plain_guest_address, "a memory operand of no allowed form", "mov (%rbx), %eax")
REJECTED(verify_rejects_a_stack_access, "a memory operand of no allowed form", "mov (%rsp), %eax")
REJECTED(verify_rejects_fs, "an FS access", "mov %fs:(%eax), %eax")
REJECTED(verify_rejects_gs_without_the_32_bit_cut, "a GS access whose address is not cut to 32 bits", "mov %gs:(%rax), %eax")
REJECTED(verify_rejects_a_32_bit_cut_without_gs, "an address cut to 32 bits without the window's base", "mov (%eax), %eax")
REJECTED(verify_rejects_a_scaled_index_from_elsewhere_in_the_window, "a window access without a zero-extended index",
	"lea (%r14,%rdi), %rdi; mov (%rdi,%rax,4), %eax")
REJECTED(verify_rejects_a_host_address_as_scaled_index, "a window access without a zero-extended index",
	"lea (%r14,%rsi), %rsi; mov (%r14,%rsi,4), %eax")
REJECTED(verify_rejects_a_host_pointer_of_the_state, "a load from a field of struct vcpu that is not scanned code's",
	"mov 0x7f0(%r13), %eax")
REJECTED(verify_rejects_a_store_below_the_state, "a store to a field of struct vcpu that is not scanned code's",
	"mov %eax, -4(%r13)")
REJECTED(verify_rejects_an_indexed_state_access, "the vCPU's state, indexed", "mov (%r13,%rax,4), %eax")
REJECTED(verify_rejects_a_store_to_the_tlb, "a store to the software TLB", "mov %eax, " CODE_TABLE "+64(%r12)")
REJECTED(verify_rejects_the_tlb_beyond_its_end, "the software TLB outside its code table", "cmpl $1, 0x1400000(%r12)")
REJECTED(verify_rejects_the_tlb_by_a_raw_index, "the software TLB by another index than a page number",
	ADDRESS "mov %r11d, %r10d; shr $11, %r10d; mov (%r12,%r10,8), %r10")
REJECTED(verify_rejects_an_unchecked_miss, "an access before the look-up is known to have hit",
	ADDRESS ALIGNED "1:" LOOKUP("") "mov (%r10,%r11), %edx\n" AROUND LAST)
REJECTED(verify_rejects_an_inverted_miss_test, "an access before the look-up is known to have hit",
	ADDRESS ALIGNED "1:" LOOKUP("") "test %r10, %r10; jnz 9f; mov (%r10,%r11), %edx\n" AROUND LAST)
REJECTED(verify_rejects_a_spoilt_miss_test, "an access before the look-up is known to have hit",
	ADDRESS ALIGNED "1:" LOOKUP("") "test %r10, %r10; inc %edx; jz 9f; mov (%r10,%r11), %edx\n" AROUND LAST)
REJECTED(verify_rejects_a_store_through_the_read_table, "a store through the read table",
	ADDRESS ALIGNED "1:" LOOKUP("") HIT "mov %edx, (%r10,%r11)\n" AROUND LAST)
REJECTED(verify_rejects_an_rmw_through_the_read_table, "a store through the read table",
	ADDRESS ALIGNED "1:" LOOKUP("") HIT "add %edx, (%r10,%r11)\n" AROUND LAST)
REJECTED(verify_rejects_another_address_than_looked_up, "an access with an address that was not looked up",
	ADDRESS ALIGNED "1:" LOOKUP("") HIT "inc %r11d; mov (%r10,%r11), %edx\n" AROUND LAST)
REJECTED(verify_rejects_a_displacement_on_a_checked_access, "a memory operand of no allowed form",
	ADDRESS ALIGNED "1:" LOOKUP("") HIT "mov 4(%r10,%r11), %edx\n" AROUND LAST)
REJECTED(verify_rejects_an_access_wider_than_its_test, "an access that may cross its page",
	ADDRESS ALIGNED "1:" LOOKUP("") HIT "movups (%r10,%r11), %xmm0\n" AROUND LAST)
REJECTED(verify_rejects_a_page_test_of_another_size, "an access that may cross its page",
	ADDRESS ALIGNED "1:" LOOKUP("") HIT "mov (%r10,%r11), %edx; jmp 7f\n"
	"8: lea 2(%r11), %r10d; xor %r11d, %r10d; test $0xfffff000, %r10d; jz 1b; 9: mov $5, %r10d\n" LAST)
REJECTED(verify_rejects_a_skipped_page_test, "an access that may cross its page",
	ADDRESS LOOKUP("") HIT "mov (%r10,%r11), %edx; 9:\n")
REJECTED(verify_rejects_a_look_up_around_the_address, "an access with an address that was not looked up",
	ADDRESS LOOKUP("") HIT "test %edx, %edx; jz 1f; mov %ecx, %r11d; 1: mov (%r10,%r11), %dl; 9:\n")
