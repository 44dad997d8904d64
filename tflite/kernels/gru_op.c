#include "ksr_gru.h"

#include "gru_accumulators.h"
#include "ksr_gru_layer.h"
#include "ksr_gru_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up_rank(ksr_gru_layer *gru, const ksr_gru_options *own, const ksr_node *node) {
  ksr_recurrent *r = &gru->recurrent;
  const int32_t is_apart = own->recurrent_rank != 0;
  gru->middle_shift = own->middle_shift;
  gru->middle_bits = own->middle_bits;
  gru->middle_multiplier[0] = ksr_multiplier_of(own->middle_multiplier_0);
  gru->middle_multiplier[1] = ksr_multiplier_of(own->middle_multiplier_1);
  gru->input_factor_kernel = ksr_recurrent_factor(r, node, KSR_GRU_INPUT_FACTOR_KERNEL, 0, own->rank);
  gru->recurrent_factor_kernel =
      ksr_recurrent_factor(r, node, KSR_GRU_RECURRENT_FACTOR_KERNEL, 1, is_apart ? own->recurrent_rank : own->rank);
  gru->middle_start = ksr_data_of(node, KSR_GRU_MIDDLE_START);
  r->kernel.sources = own->rank;
  r->recurrent_kernel.sources = own->recurrent_rank;
}

static void set_up(ksr_gru_layer *gru, const ksr_node *node) {
  const ksr_slots kernel[] = KSR_GRU_KERNEL_SLOTS, recurrent_kernel[] = KSR_GRU_RECURRENT_KERNEL_SLOTS;
  const ksr_slots candidate = KSR_GRU_CANDIDATE_KERNEL_SLOTS;
  ksr_recurrent *r = &gru->recurrent;
  ksr_gru_options own;
  ksr_recurrent_set_up(r, &gru->gates, node, (int32_t *)&own, sizeof(own) / sizeof(int32_t), KSR_GRU_SHARED_INPUTS);
  gru->reset_gate = own.reset_gate;
  gru->deep = own.deep;
  gru->gates.activations.zeta = own.zeta;
  gru->gates.activations.nu = own.nu;
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel[gru->reset_gate]);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel[gru->reset_gate]);
  if (gru->reset_gate == KSR_RESET_BEFORE) {
    gru->candidate_kernel = ksr_recurrent_matrix(r, node, KSR_GRU_CANDIDATE_KERNEL, candidate);
  }
  gru->rank = own.rank;
  gru->recurrent_rank = own.recurrent_rank;
  if (own.rank) set_up_rank(gru, &own, node);
  gru->reset_threshold = ksr_data_of(node, KSR_GRU_RESET_THRESHOLD);
  if (gru->deep) {
    const ksr_slots deep[] = KSR_GRU_DEEP_KERNEL_SLOTS;
    gru->deep_kernel = ksr_recurrent_matrix(r, node, KSR_GRU_DEEP_KERNEL, deep[gru->reset_gate]);
    gru->deep_kernel.by_outputs = 0;
    gru->deep_kernel.height = 1;
    gru->deep_kernel.diagonal = 0;
    gru->deep_bias = ksr_data_of(node, KSR_GRU_DEEP_BIAS);
  }
}

static void run(const void *layer, void *scratch) {
  const ksr_gru_layer *gru = layer;
#if KSR_WITH_INT16
  if (gru->recurrent.is_int16) ksr_gru_run_i16(gru, scratch);
#endif
  if (gru->recurrent.is_integer && !gru->recurrent.is_int16) ksr_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
  if (!gru->recurrent.is_integer) ksr_gru_run_f32(gru, scratch);
#endif
}

static const ksr_state_place states[] = {
    {offsetof(ksr_gru_layer, h), KSR_FROM_0},
    {offsetof(ksr_gru_layer, held_reset), KSR_FROM_0},
    {offsetof(ksr_gru_layer, recurrent.held_x), KSR_FROM_X_ZERO_POINT},
    {offsetof(ksr_gru_layer, recurrent.sums), KSR_FROM_0},
    {offsetof(ksr_gru_layer, recurrent.held_h), KSR_FROM_0},
};

static const ksr_recurrent_kind kind = {&ksr_gru_schema, states, KSR_GRU_SHARED_INPUTS, run};

typedef struct node_data {
  ksr_gru_layer layer;
  ksr_recurrent_calls calls;
} node_data;

#if KSR_WITH_USUAL_GATES
static ksr_gru_units *const usual_units[] = {ksr_light_gru_units_usual_i8, ksr_gru_units_usual_i8,
                                             ksr_gru_units_after_reset_usual_i8};
#if KSR_WITH_INT16
static ksr_gru_units *const usual_units_i16[] = {ksr_light_gru_units_usual_i16, ksr_gru_units_usual_i16,
                                                 ksr_gru_units_after_reset_usual_i16};
#endif
#endif
#if KSR_WITH_OTHER_GATES
static ksr_gru_units *const other_units[] = {ksr_light_gru_units_other, ksr_gru_units_other,
                                             ksr_gru_units_after_reset_other, ksr_uncoupled_units_other,
                                             ksr_fast_grnn_units_other};
#if KSR_WITH_PIECEWISE
static ksr_gru_units *const hard_units[] = {ksr_light_gru_units_hard, ksr_gru_units_hard,
                                            ksr_gru_units_after_reset_hard};
#endif
#endif

static ksr_status choose_units(ksr_gru_layer *gru, const ksr_node *node) {
  const int32_t is_gru = gru->reset_gate <= KSR_RESET_BEFORE;
  if (is_gru && ksr_has_usual_gates(node, 1)) {
#if KSR_WITH_USUAL_GATES
    gru->units = usual_units[gru->reset_gate];
    gru->reset = ksr_gru_reset_usual_i8;
#if KSR_WITH_INT16
    if (gru->recurrent.is_int16) {
      gru->units = usual_units_i16[gru->reset_gate];
      gru->reset = ksr_gru_reset_usual_i16;
    }
#endif
    return KSR_OK;
#endif
  } else {
#if KSR_WITH_OTHER_GATES
    gru->units = other_units[gru->reset_gate];
    if (gru->reset_gate == KSR_SHARED_PRODUCT && ksr_has_usual_functions(node)) gru->units = ksr_fast_grnn_units_usual;
#if KSR_WITH_PIECEWISE
    if (is_gru && ksr_has_hard_gates(node)) gru->units = hard_units[gru->reset_gate];
#endif
    gru->reset = ksr_gru_reset_other;
    return ksr_set_activations(&gru->gates, node, 1);
#endif
  }
  return KSR_NOT_BUILT;
}

enum { DEEP_WORD = (sizeof(ksr_recurrent_options) + offsetof(ksr_gru_options, deep)) / sizeof(int32_t) };

/* Whether no accumulator of the further micro-layers can overflow. */
static ksr_status check_deep(const ksr_gru_layer *gru) {
  for (int32_t n = 0; gru->recurrent.is_integer && n < gru->deep; ++n) {
    ksr_recurrent micro_layer = gru->recurrent;
    micro_layer.bias = ksr_gru_deep_bias(gru, n);
    micro_layer.recurrent_kernel = ksr_gru_deep_kernel(gru, n);
    if (!ksr_recurrent_state_fits(&micro_layer)) return KSR_STATUS(KSR_OVERFLOW, KSR_GRU_DEEP_BIAS);
  }
  return KSR_OK;
}

enum { RANK_WORD = (sizeof(ksr_recurrent_options) + offsetof(ksr_gru_options, rank)) / sizeof(int32_t) };

static ksr_status check_rank(const ksr_gru_layer *gru) {
  const ksr_recurrent *r = &gru->recurrent;
  const int32_t before = ksr_gru_state_part(gru), columns = before + gru->recurrent_factor_kernel.stride;
  if (gru->deep || gru->reset_gate == KSR_RESET_BEFORE || r->input_threshold || r->recurrent_kernel.diagonal ||
      columns > KSR_SLOTS * r->stride) {
    return KSR_STATUS(KSR_WORD, RANK_WORD);
  }
  if (!r->is_integer) return KSR_OK;
  const ksr_term none = {0, 0}, of_x = {&gru->input_factor_kernel, ksr_largest_x(r, &gru->input_factor_kernel)};
  const ksr_term of_h = {&gru->recurrent_factor_kernel, ksr_largest_h(r)};
  if (!ksr_sums_fit(gru->middle_start, 0, gru->input_factor_kernel.stride, of_x, before ? none : of_h) ||
      (before && !ksr_sums_fit(gru->middle_start, before, columns, of_h, none))) {
    return KSR_STATUS(KSR_OVERFLOW, KSR_GRU_MIDDLE_START);
  }
  const int64_t largest = (int64_t)(1 << ((r->is_int16 ? gru->middle_bits : 8) - 1)) << gru->middle_shift;
  const ksr_term kernel = {&r->kernel, largest}, recurrent = {before ? &r->recurrent_kernel : 0, largest};
  const int32_t fit = ksr_sums_fit(r->bias, 0, KSR_SLOTS * r->stride, kernel, recurrent);
  return fit ? KSR_OK : KSR_STATUS(KSR_OVERFLOW, KSR_BIAS);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  node_data *d = data;
  const ksr_status status = ksr_check(&ksr_gru_schema, node);
  if (status != KSR_OK) return status;
  set_up(&d->layer, node);
  *scratch_size = ksr_recurrent_set_calls(&d->calls, &kind, node, ksr_gru_scratch(&d->layer));
  const ksr_status chosen = choose_units(&d->layer, node);
  if (chosen != KSR_OK) return chosen;
  const int32_t has_reset = d->layer.reset_gate == KSR_RESET_AFTER || d->layer.reset_gate == KSR_RESET_BEFORE;
  if ((d->layer.deep && !KSR_WITH_DEEP) || (d->layer.rank && !KSR_WITH_RANK)) return KSR_NOT_BUILT;
  if (d->layer.deep && has_reset) return KSR_STATUS(KSR_WORD, DEEP_WORD);
  if (d->layer.rank) return check_rank(&d->layer);
  const ksr_status deep = check_deep(&d->layer);
  if (deep != KSR_OK) return deep;
  const ksr_matrix *candidate = d->layer.reset_gate == KSR_RESET_BEFORE ? &d->layer.candidate_kernel : 0;
  return ksr_recurrent_check(&d->layer.recurrent, candidate);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  node_data *d = data;
  ksr_recurrent_invoke(&kind, &d->calls, node, &d->layer, scratch);
}

const ksr_op ksr_gru = {"KsrGru", sizeof(node_data), &ksr_gru_schema, prepare, invoke};
