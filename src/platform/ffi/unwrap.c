/* Nothing is included: the compiler inside Bun has no headers beside a compiled program. Node-API comes from Bun itself, the rest from libc. */
typedef struct NapiEnv *napi_env;
typedef void *napi_value;
typedef unsigned long long u64;
struct part {
  void *base;
  u64 size;
};
extern int napi_unwrap(napi_env env, napi_value object, void **result);
extern int getpid(void);
extern long process_vm_readv(int pid, struct part *to, u64 to_count, struct part *from, u64 from_count, u64 flags);

/* Where the native object behind a wrapped one lies, or 0. */
u64 noctem_unwrap(napi_env env, napi_value object) {
  void *native = 0;
  return napi_unwrap(env, object, &native) == 0 ? (u64)native : 0;
}

/* The eight bytes at an address, or 0 where nothing can be read: a wrong address is an answer and not a crash. */
u64 noctem_word(u64 address) {
  u64 word = 0;
  struct part to, from;
  to.base = &word;
  to.size = 8;
  from.base = (void *)address;
  from.size = 8;
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 8 ? word : 0;
}
