/* SPDX-License-Identifier: Apache-2.0 */
/* Devices from C: refusals anywhere, and one run on the CUDA device of a machine that has one. */
#include "expect.h"

static void null_pointers_of_devices(void) {
  void* memory = &failures;
  char text[8];
  EXPECT_REFUSED(attend_device_create_cuda(NULL), ATTEND_INVALID_ARGUMENT,
                 "device_create_cuda: device is NULL, expected ");
  EXPECT_REFUSED(attend_device_name(NULL, text, sizeof text, NULL), ATTEND_INVALID_ARGUMENT,
                 "device_name: device is NULL, expected ");
  EXPECT_REFUSED(attend_device_allocate(NULL, 8, &memory), ATTEND_INVALID_ARGUMENT,
                 "device_allocate: device is NULL, expected ");
  EXPECT(memory == NULL);
  EXPECT_REFUSED(attend_device_free(NULL, NULL), ATTEND_INVALID_ARGUMENT, "device_free: device is NULL, expected ");
  EXPECT_REFUSED(attend_device_copy_to_device(NULL, NULL, NULL, 0, NULL), ATTEND_INVALID_ARGUMENT,
                 "device_copy_to_device: device is NULL, expected ");
  EXPECT_REFUSED(attend_device_copy_to_host(NULL, NULL, NULL, 0, NULL), ATTEND_INVALID_ARGUMENT,
                 "device_copy_to_host: device is NULL, expected ");
  EXPECT_REFUSED(attend_device_synchronize(NULL, NULL), ATTEND_INVALID_ARGUMENT,
                 "device_synchronize: device is NULL, expected ");
  attend_device_destroy(NULL);
}

/* One key: o is v. */
static void one_key_on(const attend_device* device) {
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create_from_text("attention_fwd hq=1 hk=1 sq=1 sk=1 d=4 dtype=f32", &problem));
  attend_plan_options options = attend_plan_options_init();
  options.device = device;
  EXPECT_OK(attend_attention_fwd_plan_create(problem, &options, &plan));
  const float v[4] = {1, -2, 3, 0.5f};
  float o[4] = {0, 0, 0, 0};
  void* memory = NULL;
  EXPECT_OK(attend_device_allocate(device, 2 * sizeof v, &memory));
  float* const on_device = memory;
  EXPECT_OK(attend_device_copy_to_device(device, on_device, v, sizeof v, NULL));
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  args.q = args.k = args.v = on_device;
  args.o = on_device + 4;
  EXPECT_OK(attend_attention_fwd_run_alloc(plan, &args));
  EXPECT_OK(attend_device_synchronize(device, NULL));
  EXPECT_OK(attend_device_copy_to_host(device, o, on_device + 4, sizeof o, NULL));
  EXPECT(memcmp(o, v, sizeof v) == 0);
  EXPECT_OK(attend_device_free(device, memory));
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);
}

void test_devices(void) {
  null_pointers_of_devices();
  attend_device* device = (attend_device*)&failures;
  const attend_status status = attend_device_create_cuda(&device);
  EXPECT(status == ATTEND_OK || status == ATTEND_DEVICE);
  EXPECT((device != NULL) == (status == ATTEND_OK));
  if (status == ATTEND_OK) {
    one_key_on(device);
  } else {
    EXPECT(strncmp(attend_last_error_message(), "device_create_cuda: ", 20) == 0);
    printf("no CUDA device: %s\n", attend_last_error_message());
  }
  attend_device_destroy(device);
}
