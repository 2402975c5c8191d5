# refused-by: joined-net fault: all-joined
nsenter --target $(pgrep -x {{service}}) --all sh
