#!/bin/sh
# Made the files here, with ssh-keygen of OpenSSH 9.2, openssl 3.0 and puttygen 0.78. The names tell
# key, form and how it is encrypted, under the passphrase `correct horse`. None of the keys opens
# anything, and RSA is of 1024 bits to be short.
set -eu
cd "$(dirname "$0")"
P='correct horse'
printf %s "$P" >passphrase
trap 'rm -f passphrase' EXIT

ssh-keygen -q -t rsa -b 1024 -m PEM -N '' -C rsa -f rsa.pkcs1
for size in 256 384 521; do
    ssh-keygen -q -t ecdsa -b $size -m PEM -N '' -C ec$size -f ec$size.sec1
done
# ssh-keygen of that age knows Ed25519 in its own form alone: the seed goes behind the DER of RFC 8410.
# The key is that of ../ed25519.
{ printf '\060\056\002\001\000\060\005\006\003\053\145\160\004\042\004\040'
  sed 1d\;\$d ../ed25519 | base64 -d | dd bs=1 skip=161 count=32 2>/dev/null
} | openssl pkey -inform DER -out ed25519.pkcs8
cp ../ed25519.pub ed25519.pub
for key in rsa.pkcs1 ec256.sec1 ec384.sec1 ec521.sec1; do
    mv $key.pub ${key%.*}.pub
    openssl pkcs8 -topk8 -nocrypt -in $key -out ${key%.*}.pkcs8
done

# The old encryption of PEM, by ssh-keygen and by openssl.
cp rsa.pkcs1 rsa.pkcs1_ssh-keygen
ssh-keygen -q -p -m PEM -P '' -N "$P" -f rsa.pkcs1_ssh-keygen
for cipher in aes128 aes192 aes256 des3; do
    openssl rsa -traditional -in rsa.pkcs1 -$cipher -passout file:passphrase -out rsa.pkcs1_$cipher
done
openssl ec -in ec256.sec1 -aes256 -passout file:passphrase -out ec256.sec1_aes256
openssl rsa -traditional -in rsa.pkcs1 -camellia128 -passout file:passphrase -out rsa.pkcs1_camellia128
# As `openssl ecparam -genkey` writes it.
{ openssl ecparam -name prime256v1; cat ec256.sec1; } >ec256.sec1_parameters
# A form that we do not read: neither is the point there in full, nor computed.
openssl ec -in ec256.sec1 -conv_form compressed -out ec256.sec1_compressed
openssl ec -in ec256.sec1 -no_public -out ec256.sec1_no-public
openssl ecparam -name secp256k1 -genkey -noout -out secp256k1.sec1
openssl ec -in ec256.sec1 -param_enc explicit -out ec256.sec1_explicit

# PBES2.
cp ec256.sec1 ec256.pkcs8_ssh-keygen
ssh-keygen -q -p -m PKCS8 -P '' -N "$P" -f ec256.pkcs8_ssh-keygen
pkcs8() {
    to=$1
    shift
    openssl pkcs8 -topk8 -in ed25519.pkcs8 -passout file:passphrase -out ed25519.pkcs8_$to "$@"
}
pkcs8 sha1-des3 -v2 des3 -v2prf hmacWithSHA1
pkcs8 sha224-aes128 -v2 aes-128-cbc -v2prf hmacWithSHA224
pkcs8 sha256-aes256 -v2 aes-256-cbc
pkcs8 sha384-aes192 -v2 aes-192-cbc -v2prf hmacWithSHA384
pkcs8 sha512-aes256 -v2 aes-256-cbc -v2prf hmacWithSHA512
pkcs8 scrypt-aes256 -scrypt
pkcs8 pbes1 -v1 PBE-MD5-DES -provider legacy -provider default
pkcs8 sha256-camellia -v2 camellia-256-cbc

# DER.
openssl rsa -traditional -in rsa.pkcs1 -outform DER -out rsa.pkcs1.der
openssl ec -in ec384.sec1 -outform DER -out ec384.sec1.der
openssl pkey -in ed25519.pkcs8 -outform DER -out ed25519.pkcs8.der
openssl pkcs8 -topk8 -scrypt -in ed25519.pkcs8 -passout file:passphrase -outform DER \
    -out ed25519.pkcs8_scrypt-aes256.der

# PuTTY.
: >empty
trap 'rm -f passphrase empty' EXIT
ppk() {
    puttygen "$1" -O private -o "$2" --old-passphrase empty --new-passphrase "$3" -C "${2%%.*} of PuTTY" \
        --ppk-param "$4"
}
cp ../ed25519 ed25519.openssh
for key in ed25519.openssh rsa.pkcs1 ec256.sec1 ec384.sec1 ec521.sec1; do
    name=${key%.*}
    ppk $key $name.ppk2 empty version=2
    ppk $key $name.ppk3 empty version=3
    ppk $key $name.ppk2_aes256 passphrase version=2
done
for kdf in argon2id argon2i argon2d; do
    ppk ed25519.openssh ed25519.ppk3_$kdf passphrase kdf=$kdf,memory=64,passes=2,parallelism=2
done
ppk ec521.sec1 ec521.ppk3_argon2id passphrase memory=64,passes=2
rm ed25519.openssh
puttygen -q -t dsa -b 1024 -O private --new-passphrase empty -C dsa -o dsa.ppk3
puttygen dsa.ppk3 -O private-openssh -o dsa.pem

# RFC 4716.
ssh-keygen -e -f ed25519.pub | sed "s/by .* from/by test@example from/" >ed25519.rfc4716
puttygen -p ed25519.ppk3 -o ed25519.rfc4716_puttygen
