#!/bin/sh
# The same work in the guest and on the host, by the same BusyBox: what it prints must be the same.
# Processor (checksums, compression, sorting, awk), pipes, files, and hundreds of processes.
set -u
dir=$(mktemp -d) && cd "$dir" || exit 1

echo "# numbers"
seq 1 60000 >numbers
sha256sum <numbers
md5sum <numbers
sha512sum <numbers
crc32 numbers
sort -r numbers | sha1sum
sort -n -k1.3 numbers | md5sum
awk '{ s += $1 * $1; x = x + $1 / 7 } END { printf "%.0f %.6f\n", s, x }' numbers
awk 'BEGIN { for (i = 0; i < 20000; i++) a[i % 977] = a[i % 977] + i % 7; for (i = 0; i < 977; i += 97) print i, a[i] }'
awk 'BEGIN { x = 1; for (i = 0; i < 50000; i++) x = x * 1.0000001 + 1 / (i + 1); printf "%.12g\n", x }'
bc 2>/dev/null <<-EOF || dc -e '2 200 ^ p'
	2^200
EOF

echo "# compression"
for level in 1 6 9; do gzip -$level <numbers >packed.$level && gunzip <packed.$level | cmp - numbers && echo "gzip -$level"; done
bzip2 <numbers >packed.bz2 && bunzip2 <packed.bz2 | md5sum
tar -c numbers packed.9 | tar -t
tar -c numbers | gzip | tar -xz -O | md5sum

echo "# text"
sed -e 's/1\([0-9]\)/<\1>/g' -e '/9$/d' numbers | md5sum
grep -c '7.*7' numbers
tr '0-9' 'a-j' <numbers | uniq | cut -c1-3 | sort | uniq -c | sort -rn | head -n 5
od -An -tx1 -N 64 numbers
hexdump -C numbers | tail -n 3
dd if=/dev/zero bs=4096 count=2000 2>/dev/null | md5sum
dd if=numbers bs=1000 skip=3 count=7 conv=swab 2>/dev/null | md5sum
base64 <numbers | md5sum
cat numbers numbers | wc

echo "# processes"
i=0
while [ $i -lt 300 ]; do true | cat | (read -r x; :); i=$((i + 1)); done
echo $i pipelines
for i in 1 2 3 4 5 6 7 8; do
	(for j in 1 2 3 4 5 6 7 8 9 10; do sh -c "expr $i \* $j" >>out.$i; done) &
done
wait
cat out.? | md5sum
mkfifo pipe
cat numbers >pipe &
md5sum <pipe
wait
yes "a line that goes by" | head -n 100000 | md5sum
(trap 'echo caught' USR1; kill -USR1 $(sh -c 'echo $PPID'); sleep 0; echo on)
fib() { if [ "$1" -lt 2 ]; then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
fib 10

echo "# files"
mkdir -p tree
for a in 1 2 3 4 5 6 7 8 9 0; do mkdir tree/$a; for b in 1 2 3 4 5 6 7 8 9 0; do echo $a$b >tree/$a/$b; done; done
find tree -type f | sort | xargs cat | md5sum
find tree -type f -name '[135]' -exec rm {} + && find tree -type f | wc -l
cp -r tree copy && diff -r tree copy && echo equal
mv copy moved && rm -r tree moved && ls -1
cd / && rm -r "$dir"
echo "# end"
