# Completion of the repstore command for bash: what may follow is asked of the command itself.

_repstore()
{
	local cur=${COMP_WORDS[COMP_CWORD]} given=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --timeout | --local | --tls-*) ((i++)) ;;
		-*) ;;
		*) given+=("${COMP_WORDS[i]}") ;;
		esac
	done
	mapfile -t COMPREPLY < <(compgen -W \
		"$("${COMP_WORDS[0]}" help --words -- "${given[@]:0:2}" 2>/dev/null)" -- "$cur")
}

complete -o default -F _repstore repstore
