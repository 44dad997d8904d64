/* A loop over the lanes that a comparison by the M-profile vector extension has found. */
#ifndef KSR_HELIUM_LANES_H_
#define KSR_HELIUM_LANES_H_

/* For each lane that is set in P0, in order: `number`, which finds its number from r10, its first bit in P0, and
 * `body`. Goes on at 3. r7 has the bits of a lane at its top; r4, r12 are free, r11 has the lanes that are left. `body`
 * keeps the flags. */
#define FOR_EACH_LANE(number, body) \
  "vmrs r4, p0\n"                   \
  "cbz r4, 3f\n"                    \
  "rbit r11, r4\n"                  \
  "2: clz r10, r11\n"               \
  "lsr r12, r7, r10\n"              \
  "bics r11, r11, r12\n" number body \
  "bne 2b\n"

#endif /* KSR_HELIUM_LANES_H_ */
