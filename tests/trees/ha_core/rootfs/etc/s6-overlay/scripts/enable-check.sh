#!/command/with-contenv bash
trace hook
rm /etc/s6-overlay/s6-rc.d/user/contents.d/otbr-web
touch /etc/s6-overlay/s6-rc.d/user/contents.d/mariadb-core
