/* The ops of keras-sparse-rnn for a TensorFlow Lite Micro tree.
 *
 *   tflite::MicroMutableOpResolver<3> resolver;
 *   resolver.AddSoftmax();
 *   ksr::AddOp<&ksr_event_gru>(resolver);  // each op that the model has; all of them: ksr_tflm_all.h
 *
 * Against the headers of TFLM from 2023 on: Arduino's library, in which an op is a TfLiteRegistration; later ones, in
 * which it is a TFLMRegistration; and those of autumn 2026, which have the types in tflite::micro under global names
 * too. */
#ifndef KSR_TFLM_H_
#define KSR_TFLM_H_

#include <type_traits>

#include "ksr.h"
#include "tensorflow/lite/micro/micro_op_resolver.h" /* defines the types in each of them */

namespace ksr {

/* The functions that the interpreter calls for each node of an op. */
void* Init(TfLiteContext* context, const ksr_op* op);
TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node);
TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node);

/* An interpreter does not tell `init` for which op it is called, so each op has its own. */
template <const ksr_op* op>
void* InitOf(TfLiteContext* context, const char*, size_t) {
  return Init(context, op);
}

/* The type of a registration, derived from the argument of AddCustom. */
template <class Resolver, class Registration>
typename std::remove_const<Registration>::type EmptyRegistration(
    TfLiteStatus (Resolver::*)(const char*, Registration*)) {
  return {};
}

/* Adds one op to a MicroMutableOpResolver. */
template <const ksr_op* op, class Resolver>
TfLiteStatus AddOp(Resolver& resolver) {
  auto registration = EmptyRegistration(&Resolver::AddCustom);
  registration.init = InitOf<op>;
  registration.prepare = Prepare;
  registration.invoke = Invoke;
  return resolver.AddCustom(op->name, &registration);
}

}  // namespace ksr

#endif  // KSR_TFLM_H_
