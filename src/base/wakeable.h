// Wakeable: somebody who waits and can be woken, whatever he waits with.
#ifndef CORRAL_BASE_WAKEABLE_H_
#define CORRAL_BASE_WAKEABLE_H_

namespace corral {

class Wakeable {
 public:
  // From any thread, with any lock held: never blocks, never calls back.
  virtual void Wake() = 0;

 protected:
  ~Wakeable() = default;
};

}  // namespace corral

#endif  // CORRAL_BASE_WAKEABLE_H_
