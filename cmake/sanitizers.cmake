# CARILLON_SANITIZE=address,undefined | thread. CAF's function-based actors
# bind null references in its own headers, hence no -fsanitize=null; its queues
# take their own end for an element, hence no -fsanitize=vptr. Sanitized
# code makes g++ see uninitialised members in <regex> and others that are none
# (GCC manual, -fsanitize); the plain build keeps that warning.
if(CARILLON_SANITIZE)
  target_compile_options(carillon_options INTERFACE
    -fsanitize=${CARILLON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    -Wno-maybe-uninitialized)
  target_link_options(carillon_options INTERFACE -fsanitize=${CARILLON_SANITIZE})
  if(CARILLON_SANITIZE MATCHES undefined)
    target_compile_options(carillon_options INTERFACE -fno-sanitize=null,vptr)
  endif()
  if(CARILLON_SANITIZE MATCHES thread)
    target_compile_options(carillon_options INTERFACE -Wno-tsan)
  endif()
endif()
